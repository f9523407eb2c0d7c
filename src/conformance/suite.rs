//! The suite as a whole: find the cases, run their cells beside each other, judge them.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;

use anyhow::{Context, bail};

use super::baseline::{Baseline, Contradiction, Golden, GoldenEntry, contradictions, golden_path};
use super::child::{End, PROBE, Report, watch};
use super::expand::{self, Script};
use super::format::{CaseFile, Evidence};
use super::judge::{CaseResult, Kind, judge, verdict};

/// The extension of a case file.
const EXTENSION: &str = "case";

/// What to run and what to judge it against.
#[derive(Clone, Debug)]
pub struct Options {
    /// The folder with the case files, searched with its subfolders.
    pub cases: PathBuf,
    /// The command that starts a child: program and arguments; the case file and the cell's name follow.
    pub child: Vec<OsString>,
    /// The cells that this driver is known not to pass.
    pub baseline: Option<PathBuf>,
    /// What NVIDIA's driver answered: the expectation of the calls that a case leaves open.
    pub golden: Option<PathBuf>,
    /// Only cells whose `case@cell` contains this.
    pub filter: Option<String>,
    /// How many children run beside each other.
    pub jobs: usize,
    /// The longest that one child may take.
    pub limit: Duration,
    /// Once set, no further cell begins, and the outcome says how many were left.
    pub stop: Arc<AtomicBool>,
}

/// A cell of the suite, for a listing.
#[derive(Clone, Debug, serde::Serialize)]
pub struct ListedCase {
    /// `case@cell`.
    pub id: String,
    /// What the case is about.
    pub title: String,
    /// Where its expectation comes from.
    pub source: String,
    /// The evidence tag.
    pub evidence: Evidence,
}

/// Progress of a run.
#[derive(Debug)]
pub enum Event<'a> {
    /// The driver answered; this many cells will run.
    Started {
        /// The driver's version, as `cuDriverGetVersion` numbers it.
        driver: i32,
        /// The count of cells.
        total: usize,
    },
    /// A cell has its result.
    Finished {
        /// The result.
        result: &'a CaseResult,
        /// How many have one now.
        done: usize,
    },
}

/// What a run came to.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Outcome {
    /// The driver's version, as `cuDriverGetVersion` numbers it.
    pub driver: i32,
    /// The cells in the order of their names.
    pub results: Vec<CaseResult>,
    /// Lines of the baseline that name no cell.
    pub stale: Vec<String>,
    /// Calls where the golden file contradicts the case.
    pub contradictions: Vec<Contradiction>,
    /// How many cells the golden file has.
    pub golden_cells: usize,
    /// How many cells a run that was stopped did not come to.
    pub not_run: usize,
}

impl Outcome {
    /// True where nothing unexpected happened.
    pub fn is_ok(&self) -> bool {
        self.stale.is_empty() && self.results.iter().all(|result| !result.unexpected)
    }

    /// How many cells have each result.
    pub fn counts(&self) -> BTreeMap<Kind, usize> {
        let mut counts = BTreeMap::new();
        self.results.iter().for_each(|result| *counts.entry(result.kind).or_default() += 1);
        counts
    }

    /// The same by evidence tag.
    pub fn counts_by_evidence(&self) -> BTreeMap<Evidence, BTreeMap<Kind, usize>> {
        let mut counts: BTreeMap<Evidence, BTreeMap<Kind, usize>> = BTreeMap::new();
        for result in &self.results {
            *counts.entry(result.evidence).or_default().entry(result.kind).or_default() += 1;
        }
        counts
    }
}

/// A script with its file.
struct Job {
    path: PathBuf,
    file: CaseFile,
    script: Script,
}

/// The cells that the options select.
///
/// # Errors
/// An unreadable folder, or the first case file that does not parse.
pub fn list(options: &Options) -> anyhow::Result<Vec<ListedCase>> {
    let selected = jobs(options)?.into_iter().filter(|job| selects(options, &job.script.id));
    Ok(selected
        .map(|job| ListedCase {
            id: job.script.id,
            title: job.file.title,
            source: job.file.source,
            evidence: job.script.evidence,
        })
        .collect())
}

/// Runs the selected cells and judges them.
///
/// # Errors
/// A case, baseline or golden file that cannot be read, or a driver that cannot be used.
pub fn run(options: &Options, progress: &mut dyn FnMut(&Event)) -> anyhow::Result<Outcome> {
    Ok(run_recording(options, progress)?.0)
}

/// Runs the selected cells and writes what the driver answered as the golden file of `version`.
///
/// Cells that the filter leaves out keep their entry; cells that no longer exist lose it. Returns the
/// outcome against the case files alone, and the file's path.
///
/// # Errors
/// As [`run`], and a golden file that cannot be written.
pub fn bless(options: &Options, version: &str, progress: &mut dyn FnMut(&Event)) -> anyhow::Result<(Outcome, PathBuf)> {
    let path = golden_path(&options.cases.join("golden"), version);
    let all: Vec<String> = jobs(options)?.into_iter().map(|job| job.script.id).collect();
    let mut golden = Golden::read(&path)?;
    golden.retain(|id| all.iter().any(|known| known == id));
    let (outcome, recorded) = run_recording(&Options { golden: None, ..options.clone() }, progress)?;
    if outcome.not_run > 0 {
        bail!("the run was stopped before {} cells, so {} is not written", outcome.not_run, path.display());
    }
    recorded.into_iter().for_each(|entry| golden.insert(entry));
    golden.write(&path)?;
    Ok((outcome, path))
}

fn selects(options: &Options, id: &str) -> bool {
    options.filter.as_ref().is_none_or(|filter| id.contains(filter.as_str()))
}

/// Every cell of the suite, in the order of the names.
fn jobs(options: &Options) -> anyhow::Result<Vec<Job>> {
    let mut files = Vec::new();
    find(&options.cases, &mut files)?;
    files.sort();
    let mut jobs = Vec::new();
    for path in files {
        let file = CaseFile::read(&options.cases, &path)?;
        for script in expand::scripts(&file)? {
            jobs.push(Job { path: path.clone(), file: file.clone(), script });
        }
    }
    if jobs.is_empty() {
        bail!("no case files (*.{EXTENSION}) below {}", options.cases.display());
    }
    Ok(jobs)
}

fn find(folder: &Path, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("cannot read the folder {}", folder.display()))?;
    for entry in entries {
        let path = entry.with_context(|| format!("cannot read the folder {}", folder.display()))?.path();
        if path.is_dir() {
            find(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == EXTENSION) {
            files.push(path);
        }
    }
    Ok(())
}

/// Asks the driver for its version, so that a driver that cannot be used is one error and not many.
fn probe(options: &Options) -> anyhow::Result<i32> {
    let report = watch(&options.child, Path::new(PROBE), "", options.limit);
    match (report.end, report.driver) {
        (End::Done, Some(version)) => Ok(version),
        (End::Skip(reason) | End::Error(reason), _) => bail!("{reason}"),
        (End::Crash(how), _) => bail!("the driver's first calls end the process: {how}"),
        (End::Timeout, _) => bail!("the driver's first calls did not return within {:?}", options.limit),
        (End::Done, None) => bail!("the child command says nothing of its driver"),
    }
}

fn run_recording(options: &Options, progress: &mut dyn FnMut(&Event)) -> anyhow::Result<(Outcome, Vec<GoldenEntry>)> {
    let all = jobs(options)?;
    let baseline = options.baseline.as_deref().map_or_else(|| Ok(Baseline::default()), Baseline::read)?;
    let golden = options.golden.as_deref().map_or_else(|| Ok(Golden::default()), Golden::read)?;
    let stale = baseline.stale(|id| all.iter().any(|job| job.script.id == id)).map(str::to_owned).collect();
    let selected: Vec<&Job> = all.iter().filter(|job| selects(options, &job.script.id)).collect();
    if selected.is_empty() {
        bail!("no cell contains `{}`", options.filter.as_deref().unwrap_or_default());
    }
    let driver = probe(options)?;
    progress(&Event::Started { driver, total: selected.len() });

    let mut finished: BTreeMap<usize, (CaseResult, Option<GoldenEntry>)> = BTreeMap::new();
    let next = AtomicUsize::new(0);
    let (results, received) = channel();
    std::thread::scope(|scope| {
        for _ in 0..options.jobs.clamp(1, selected.len()) {
            let (results, next, selected, baseline, golden) = (results.clone(), &next, &selected, &baseline, &golden);
            scope.spawn(move || {
                while let Some(job) = {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    selected.get(at).map(|job| (at, job)).filter(|_| !options.stop.load(Ordering::Relaxed))
                } {
                    let result = run_job(options, job.1, baseline, golden);
                    // What was under way when the run was stopped was stopped too: its end says nothing.
                    if options.stop.load(Ordering::Relaxed) || results.send((job.0, result)).is_err() {
                        break;
                    }
                }
            });
        }
        drop(results);
        for (at, result) in received {
            finished.insert(at, result);
            let done = finished.len();
            progress(&Event::Finished { result: &finished[&at].0, done });
        }
    });

    let contradictions = selected.iter().flat_map(|job| contradictions(&job.script, &golden)).collect();
    let (results, recorded): (Vec<_>, Vec<_>) = finished.into_values().unzip();
    let not_run = selected.len() - results.len();
    let outcome = Outcome { driver, results, stale, contradictions, golden_cells: golden.len(), not_run };
    Ok((outcome, recorded.into_iter().flatten().collect()))
}

/// Runs a cell, and once more where it fails or crashes unexpectedly: what then passes is a flake.
fn run_job(options: &Options, job: &Job, baseline: &Baseline, golden: &Golden) -> (CaseResult, Option<GoldenEntry>) {
    let attempt = || -> Report { watch(&options.child, &job.path, &job.script.cell, options.limit) };
    let golden = golden.get(&job.script.id);
    let listed = baseline.get(&job.script.id);
    let mut report = attempt();
    if matches!(report.end, End::Error(_)) {
        // Many children ask one driver for a context at once: what it refuses now it may give later.
        report = attempt();
    }
    let mut verdict_of = verdict(&job.script, &report, golden);
    let (mut kind, mut unexpected) = judge(&verdict_of, None, listed);
    // A hang is not run again: it would only double the time that is lost.
    if matches!(kind, Kind::Fail | Kind::Crash) {
        let again = verdict(&job.script, &attempt(), golden);
        (kind, unexpected) = judge(&verdict_of, Some(&again), listed);
        if kind == Kind::Flake {
            verdict_of.detail = "passed when it was run again".into();
        }
    }
    let entry = GoldenEntry::record(&job.script, &report);
    let result = CaseResult {
        id: job.script.id.clone(),
        evidence: job.script.evidence,
        kind,
        unexpected,
        detail: verdict_of.detail,
        mismatches: verdict_of.mismatches,
        seen: report.seen,
    };
    (result, entry)
}
