//! `graphproof gate`: judges steps.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::config::{AllowList, Job, Partition, Settings};
use crate::receipt::{self, AtomicFile, ConfigUsed, NotRun, Outputs, Provenance, Receipt, Request, SameFile};
use crate::report::notice::Notice;
use crate::report::sources::Sources;
use crate::report::{
    Event, Github, HtmlReport, JobName, JsonLines, Junit, LaneStart, Opening, ReceiptWriter, Reporters, Sarif,
    Terminal, TraceWriter,
};
use anyhow::{Context as _, anyhow};
use graphproof_harness::calls;
use graphproof_harness::checks::topology;
use graphproof_harness::driver::DriverKind;
use graphproof_harness::exit_code::ExitCode;
use graphproof_harness::gate::{self, GateConfig, Progress};
use graphproof_harness::report::{Achieved, LaneReport, Verdict};
use graphproof_harness::retry;

use super::ceiling::{Ceilings, set_beside};
use super::suite::{self, Planned, PlannedJob};
use super::{Failure, bless, cold, settings};
use crate::args::{GateArgs, ReportArgs, SuiteArgs};
use crate::interrupt;
use crate::output::json::io;
use crate::output::print;
use crate::suite::{Parameters, Suite};

pub fn run(args: &GateArgs, own: Arc<dyn Suite>) -> Result<ExitCode, Failure> {
    let suite = suite::chosen(&args.suite, own)?;
    if let Some(revision) = &args.against {
        return super::against::run(args, revision, suite);
    }
    if !args.policy.is_default() {
        let error =
            "--allow, --max-memory-growth and --max-time-growth compare with a revision: pass --against REV too";
        return Err(Failure::new(ExitCode::Usage, anyhow!(error)));
    }
    let gate = Gate::new(args, suite.as_ref())?;
    let mut reporters = reporters(&args.report, files(args, &gate.settings)?)?;
    if args.bless {
        bless::check(&gate.jobs)?;
    }
    if args.no_record {
        calls::do_without();
    }
    let suite = planned(&gate, suite)?;
    let (receipt, poisoned) = gate.run(&suite, args.report.wants_receipt(), &mut reporters)?;
    let mut code = written(&mut reporters).map(|()| receipt.exit_code);
    if let Some(folder) = gate.settings.locked.as_deref().filter(|_| args.bless) {
        code = bless::accept(folder, &receipt).and_then(|told| print(&told)).and(code);
    }
    if poisoned {
        leave(code);
    }
    code.map(exit_code)
}

/// The suite with the gate's jobs, on its driver.
pub fn planned(gate: &Gate<'_>, suite: Arc<dyn Suite>) -> Result<Planned, Failure> {
    let compile = gate.settings.compile;
    let suite = suite::kernels_of(suite, compile)?;
    Planned::open(gate.settings.driver, suite, gate.jobs.clone(), compile)
}

/// Why a receipt of the software driver has no device times.
const UNTIMED: &str = "the software driver executes kernels on the CPU: its times are no GPU's";

/// What is to be run; any number of suites can be.
pub struct Gate<'a> {
    args: &'a GateArgs,
    provenance: Provenance,
    pub settings: Settings,
    /// The jobs of this part.
    pub jobs: Vec<Job>,
    left: Vec<NotRun>,
    stop: Arc<AtomicBool>,
}

impl<'a> Gate<'a> {
    pub fn new(args: &'a GateArgs, suite: &dyn Suite) -> Result<Self, Failure> {
        // After the settings: an error in them is no reason to listen for signals.
        let gate = Self::stopped_by(args, suite, Arc::default())?;
        Ok(Gate { stop: interrupt::flag(), ..gate })
    }

    /// A gate that `stop` ends, in a program whose signals are its own.
    pub fn stopped_by(args: &'a GateArgs, suite: &dyn Suite, stop: Arc<AtomicBool>) -> Result<Self, Failure> {
        let provenance = Provenance::of_this_run();
        let settings = settings::resolve(args, suite)?;
        let (jobs, left) = part(settings.jobs(), args.partition);
        Ok(Gate { args, provenance, settings, jobs, left, stop })
    }

    /// Judges a suite of the jobs and tells the reporters; `kept` says that its receipt will be
    /// kept. Also returns whether the device is unusable now.
    pub fn run(&self, suite: &Planned, kept: bool, reporters: &mut Reporters) -> Result<(Receipt, bool), Failure> {
        let settings = &self.settings;
        let mut run = Run {
            suite,
            settings,
            bless: self.args.bless,
            pipelined: self.args.pipelined,
            orders: self.args.orders,
            cold: self.args.cold.then_some(&self.args.suite),
            allow: AllowList::new(settings.allow.clone()),
            stop: Arc::clone(&self.stop),
            poisoned_by: None,
            failed: None,
            ceilings: Ceilings::default(),
        };
        let opening = opening(suite, settings.steps);
        reporters.tell(&Event::RunStarted(&opening));
        let mut lanes = run.judge(&opening.jobs, reporters)?;
        beside_plain(&mut lanes, suite.suite.yardstick());
        let request = Request {
            steps: opening.steps,
            kernels: suite.kernels.clone(),
            suite: Some(suite.suite.name().to_owned()),
            tree: suite.tree,
            partition: self.args.partition.map(|partition| partition.to_string()),
            not_run: self.left.clone(),
            config: settings
                .file
                .as_ref()
                .map(|file| ConfigUsed { file: file.display().to_string(), unused_allow: run.allow.unused() }),
        };
        let (poisoned, interrupted) = (run.poisoned_by.is_some(), run.stop.load(Ordering::Relaxed));
        let mut receipt = receipt(suite, request, self.provenance.clone(), lanes, interrupted);
        if kept && !self.args.no_geometry && !poisoned && !interrupted {
            let shapes: Vec<Parameters> = self.jobs.iter().map(|job| job.shape.clone()).collect();
            let words = "the lanes' memory at 65,536 and 131,072 keys is allocated, a few seconds in all";
            let _notice = Notice::of_known_length("gate", words);
            receipt.geometry = suite.suite.geometry(&suite.session, &shapes);
        }
        let receipt = receipt.sealed();
        reporters.end_run(&receipt);
        tracing::debug!(spent = ?reporters.spent(), "time in reporters");
        Ok((receipt, poisoned))
    }
}

/// Sets each lane beside the plain one of its shape.
fn beside_plain(lanes: &mut [LaneReport], plain: Option<&str>) {
    let mut shapes: Vec<String> = lanes.iter().map(|lane| lane.shape.clone()).collect();
    shapes.sort_unstable();
    shapes.dedup();
    for shape in shapes {
        let same = lanes.iter_mut().filter(|lane| lane.shape == shape);
        set_beside(
            same.filter_map(|lane| Some((lane.step.as_str(), lane.times.device.median, lane.speed.as_mut()?))),
            plain,
        );
    }
}

/// Whether every reporter could write.
pub(super) fn written(reporters: &mut Reporters) -> Result<(), Failure> {
    reporters.take_failures().into_iter().next().map_or(Ok(()), |error| Err(io(error)))
}

/// The exit code in a receipt.
pub(super) fn exit_code(code: u8) -> ExitCode {
    ExitCode::ALL.into_iter().find(|known| known.code() == code).unwrap_or(ExitCode::Internal)
}

/// Ends the process after a lost run, whose thread may hold the driver, without waiting for it.
pub(super) fn leave(code: Result<u8, Failure>) -> ! {
    let code = code.unwrap_or_else(|failure| {
        crate::output::log::failure(&failure);
        failure.code.code()
    });
    std::process::exit(i32::from(code))
}

/// The terminal, and every file that was asked for; each is tried before the run. `taken` holds what else
/// the run reads and writes.
pub fn reporters(args: &ReportArgs, mut taken: Outputs) -> Result<Reporters, Failure> {
    let on_github = std::env::var_os("GITHUB_ACTIONS").is_some_and(|value| value == "true");
    let github = (on_github || args.github) && !args.no_github;
    let summary = std::env::var_os("GITHUB_STEP_SUMMARY").filter(|path| !path.is_empty() && github).map(PathBuf::from);
    // All before the first: opening a file for events empties it.
    let files = [
        ("--json", &args.json),
        ("--events", &args.events),
        ("--html", &args.html),
        ("--trace", &args.trace),
        ("--junit", &args.junit),
        ("--sarif", &args.sarif),
        ("GITHUB_STEP_SUMMARY", &summary),
    ];
    for (option, path) in files {
        path.iter().try_for_each(|path| taken.take(path, option)).map_err(same_file)?;
    }
    let file = |path: &Path, what: &str, option: &str| AtomicFile::prepare(path, what, option).map_err(io);
    let mut reporters = Reporters::default();
    reporters.add(Terminal::stdout());
    if let Some(path) = &args.json {
        reporters.add(ReceiptWriter::new(file(path, "the receipt", "--json")?));
    }
    if let Some(path) = &args.events {
        let file = File::create(path)
            .with_context(|| format!("events cannot be written to {}; choose another --events FILE", path.display()))
            .map_err(io)?;
        reporters.add(JsonLines::new(file, path.display().to_string()));
    }
    if let Some(path) = &args.html {
        reporters.add(HtmlReport::new(file(path, "the report", "--html")?));
    }
    if let Some(path) = &args.trace {
        reporters.add(TraceWriter::new(file(path, "the trace", "--trace")?));
    }
    if let Some(path) = &args.junit {
        reporters.add(Junit::new(file(path, "the verdicts", "--junit")?));
    }
    if let Some(path) = &args.sarif {
        reporters.add(Sarif::new(file(path, "the findings", "--sarif")?, Sources::here()));
    }
    if github {
        reporters.add(Github::new(std::io::stdout(), summary, Sources::here()));
    }
    Ok(reporters)
}

/// Two files of one run are one.
pub(super) fn same_file(error: SameFile) -> Failure {
    Failure::new(ExitCode::Usage, error)
}

/// What a gate reads and writes beside its reports.
pub(super) fn files(args: &GateArgs, settings: &Settings) -> Result<Outputs, Failure> {
    let mut taken = Outputs::default();
    for (what, path) in [("the configuration", &settings.file), ("--json-against", &args.json_against)] {
        path.iter().try_for_each(|path| taken.take(path, what)).map_err(same_file)?;
    }
    Ok(taken)
}

/// The jobs of this part, and those that are left to the others.
fn part(jobs: Vec<Job>, partition: Option<Partition>) -> (Vec<Job>, Vec<NotRun>) {
    let Some(partition) = partition else { return (jobs, Vec::new()) };
    let (mut own, mut left) = (Vec::new(), Vec::new());
    for (index, job) in jobs.into_iter().enumerate() {
        if partition.holds(index) {
            own.push(job);
        } else {
            let shape = job.shape_text();
            left.push(NotRun { step: job.step, shape, seed: job.seed, reason: "in another part".to_owned() });
        }
    }
    (own, left)
}

fn opening(suite: &Planned, steps: u64) -> Opening {
    let device = suite.session.facts();
    let name = |PlannedJob { job, .. }: &PlannedJob| JobName {
        step: job.step.clone(),
        shape: job.shape_text(),
        seed: job.seed,
        steps: job.steps,
    };
    Opening {
        graphproof: env!("CARGO_PKG_VERSION").to_owned(),
        driver: suite.selected.kind.name().to_owned(),
        device: device.name.clone(),
        compute_capability: device.compute_capability,
        driver_version: device.driver_version,
        kernels: suite.kernels.clone(),
        steps: suite.jobs.iter().map(|planned| planned.job.steps).max().unwrap_or(steps),
        jobs: suite.jobs.iter().map(name).collect(),
    }
}

/// A gate run on its way through the jobs.
struct Run<'a> {
    suite: &'a Planned,
    settings: &'a Settings,
    /// Whether the graphs will be accepted, and are not compared.
    bless: bool,
    /// Whether several steps are replayed without a wait in between too.
    pipelined: bool,
    /// Seeded orders under which each step is replayed too.
    orders: u64,
    /// Where the steps come from, if each is to be captured in a process of its own too.
    cold: Option<&'a SuiteArgs>,
    allow: AllowList,
    stop: Arc<AtomicBool>,
    /// The step that left the device unusable.
    poisoned_by: Option<String>,
    /// The first step that failed.
    failed: Option<String>,
    /// What was measured of the device.
    ceilings: Ceilings,
}

impl Run<'_> {
    fn judge(&mut self, names: &[JobName], reporters: &mut Reporters) -> Result<Vec<LaneReport>, Failure> {
        let mut lanes: Vec<LaneReport> = Vec::new();
        for (lane, (planned, name)) in self.suite.jobs.iter().zip(names).enumerate() {
            reporters.tell(&Event::LaneStarted(LaneStart { lane, job: name, steps: name.steps }));
            let config = GateConfig {
                steps: name.steps,
                seed: name.seed,
                shape: name.shape.clone(),
                patience: Duration::from_secs(self.settings.patience),
                stream: planned.job.stream,
                mode: planned.job.mode,
                pipelined: self.pipelined,
                orders: self.orders,
                stop: Arc::clone(&self.stop),
            };
            let mut report = match self.not_to_be_run() {
                Some((verdict, reason)) => {
                    let mut report = gate::blank_report(planned.step.as_ref(), &config, verdict);
                    report.not_checked.extend(reason);
                    report
                }
                None => self.one(lane, planned, &config, reporters)?,
            };
            if report.failed() {
                self.failed.get_or_insert_with(|| report.step.clone());
            }
            self.reckon(&mut report, planned)?;
            reporters.end_lane(lane, &report);
            lanes.push(report);
        }
        Ok(lanes)
    }

    /// What a lane's device time comes to: a suite counts the operations of step 0 under seed 0, as `bench step` does.
    fn reckon(&mut self, report: &mut LaneReport, planned: &PlannedJob) -> Result<(), Failure> {
        let suite = self.suite.suite.as_ref();
        let flop = suite
            .flop(&planned.job.step, &planned.job.shape)
            .filter(|_| report.seed == 0 && !report.times.device.is_empty());
        let Some(mut achieved) = flop.map(|flop| Achieved::of(flop, report.times.device.median)) else { return Ok(()) };
        achieved.ceiling = self.ceilings.of(suite, &self.suite.session, &planned.job.step, achieved.tflops)?;
        report.speed = Some(achieved);
        Ok(())
    }

    /// Why the next job does not run, if it does not.
    fn not_to_be_run(&self) -> Option<(Verdict, Option<String>)> {
        if self.stop.load(Ordering::Relaxed) {
            return Some((Verdict::Interrupted, None));
        }
        if let Some(culprit) = &self.poisoned_by {
            let reason = format!("step '{culprit}' left the device unusable; run this one by itself");
            return Some((Verdict::NotRun, Some(reason)));
        }
        let culprit = self.failed.as_ref().filter(|_| self.settings.fail_fast)?;
        Some((Verdict::NotRun, Some(format!("step '{culprit}' failed before, and --fail-fast ends the run there"))))
    }

    fn one(
        &mut self,
        lane: usize,
        planned: &PlannedJob,
        config: &GateConfig,
        reporters: &mut Reporters,
    ) -> Result<LaneReport, Failure> {
        let asked = config.steps;
        let mut progress = |Progress::Steps(done)| reporters.tell(&Event::Progress { lane, done, asked });
        let locked = self.settings.locked.as_deref().filter(|_| !self.bless);
        let allow = &mut self.allow;
        let mut settle = |report: &mut LaneReport| {
            if let Some(folder) = locked {
                compare_with_reviewed(folder, report)?;
            }
            allow.apply(report);
            Ok::<(), Failure>(())
        };
        let retries = self.settings.retries;
        let mut outcome = retry::run(&self.suite.session, &planned.step, config, retries, &mut progress, &mut settle)?;
        if let Some(suite) = self.cold {
            let step = &planned.job.step;
            let next = self.suite.jobs.iter().skip(lane + 1).find(|next| next.job.step == *step);
            let next = next.filter(|next| next.job.shape != planned.job.shape);
            cold::add((planned, next), (suite, self.settings), &self.stop, &mut outcome.report);
        }
        self.allow.apply(&mut outcome.report);
        if outcome.poisoned {
            self.poisoned_by = Some(planned.job.step.clone());
        }
        Ok(outcome.report)
    }
}

/// `--locked`: the graph must be the one that was reviewed.
fn compare_with_reviewed(folder: &Path, lane: &mut LaneReport) -> Result<(), Failure> {
    let Some(graph) = &lane.graph else { return Ok(()) };
    let file = folder.join("snapshots").join(format!("graph_{}.snap", lane.step));
    let text = match std::fs::read_to_string(&file) {
        Ok(text) => Some(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(io(anyhow::Error::new(error).context(format!("cannot read {}", file.display())))),
    };
    let reviewed = text.as_deref().map(topology::snapshot_text);
    if let Some(finding) = topology::check(graph, reviewed, &file.display().to_string()) {
        lane.findings.push(finding);
        lane.verdict = Verdict::Fail;
    }
    Ok(())
}

/// The receipt, without its geometry and not sealed yet.
fn receipt(
    suite: &Planned,
    request: Request,
    provenance: Provenance,
    lanes: Vec<LaneReport>,
    interrupted: bool,
) -> Receipt {
    // A job that was not run is not known to be safe, even where what kept it from running is allowed.
    let failed = lanes.iter().any(|lane| lane.failed() || lane.verdict == Verdict::NotRun);
    let (verdict, code) = match (interrupted, failed) {
        (true, _) => (Verdict::Interrupted, ExitCode::Interrupted),
        (false, true) => (Verdict::Fail, ExitCode::Findings),
        (false, false) => (Verdict::Pass, ExitCode::Passed),
    };
    Receipt {
        format: receipt::FORMAT,
        provenance,
        driver: receipt::Driver {
            kind: suite.selected.kind,
            path: suite.selected.path.as_ref().map(|path| path.display().to_string()),
            reason: suite.selected.reason.clone(),
            untimed: (suite.selected.kind == DriverKind::Software).then(|| UNTIMED.to_owned()),
        },
        device: suite.session.facts().clone(),
        request,
        sources: suite::hashes(suite.steps()),
        lanes,
        geometry: Vec::new(),
        verdict,
        exit_code: code.code(),
        seal: String::new(),
    }
}
