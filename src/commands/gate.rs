//! `graphproof gate`: judges steps.

use std::fs::File;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Context as _;
use graphproof::receipt::{self, AtomicFile, Provenance, Receipt, Request};
use graphproof::report::{
    Event, HtmlReport, JobName, JsonLines, LaneStart, Opening, ReceiptWriter, Reporters, Terminal, TraceWriter,
};
use graphproof_harness::checks::topology;
use graphproof_harness::exit_code::ExitCode;
use graphproof_harness::gate::{self, GateConfig, Progress};
use graphproof_harness::report::{LaneReport, Verdict};

use super::Failure;
use super::suite::{self, Suite};
use crate::args::{GateArgs, ReportArgs};
use crate::interrupt;
use crate::output::json::io;

pub fn run(args: &GateArgs) -> Result<ExitCode, Failure> {
    let provenance = Provenance::of_this_run();
    let mut reporters = reporters(&args.report)?;
    let suite = Suite::resolve(&args.target, &args.steps_named)?;
    let config = GateConfig {
        steps: args.steps,
        seed: args.seed,
        shape: suite.shape.to_string(),
        patience: Duration::from_secs(args.patience),
        stop: interrupt::flag(),
    };
    let opening = opening(&suite, &config);
    reporters.tell(&Event::RunStarted(&opening));
    let (lanes, poisoned) = judge(&suite, &config, &opening.jobs, args.locked.as_deref(), &mut reporters)?;
    let receipt = receipt(&suite, &config, provenance, lanes);
    reporters.end_run(&receipt);
    tracing::debug!(spent = ?reporters.spent(), "time in reporters");
    if let Some(error) = reporters.take_failures().into_iter().next() {
        return Err(io(error));
    }
    let code = receipt.exit_code;
    if poisoned {
        // The lost run's thread may hold the driver: leave without waiting for it.
        std::process::exit(i32::from(code));
    }
    Ok(ExitCode::ALL.into_iter().find(|known| known.code() == code).unwrap_or(ExitCode::Internal))
}

/// The terminal, and every file that was asked for; each is tried before the run.
pub fn reporters(args: &ReportArgs) -> Result<Reporters, Failure> {
    let mut reporters = Reporters::default();
    reporters.add(Terminal::new(std::io::stdout()));
    if let Some(path) = &args.json {
        let file = AtomicFile::prepare(path, "the receipt", "--json").map_err(io)?;
        reporters.add(ReceiptWriter::new(file));
    }
    if let Some(path) = &args.events {
        let file = File::create(path)
            .with_context(|| format!("events cannot be written to {}; choose another --events FILE", path.display()))
            .map_err(io)?;
        reporters.add(JsonLines::new(file, path.display().to_string()));
    }
    if let Some(path) = &args.html {
        reporters.add(HtmlReport::new(AtomicFile::prepare(path, "the report", "--html").map_err(io)?));
    }
    if let Some(path) = &args.trace {
        reporters.add(TraceWriter::new(AtomicFile::prepare(path, "the trace", "--trace").map_err(io)?));
    }
    Ok(reporters)
}

fn opening(suite: &Suite, config: &GateConfig) -> Opening {
    let device = suite.session.facts();
    let job = |step: &str| JobName { step: step.to_owned(), shape: config.shape.clone(), seed: config.seed };
    Opening {
        graphproof: env!("CARGO_PKG_VERSION").to_owned(),
        driver: suite.selected.kind.name().to_owned(),
        device: device.name.clone(),
        compute_capability: device.compute_capability,
        driver_version: device.driver_version,
        kernels: suite.kernels.clone(),
        steps: config.steps,
        jobs: suite.steps.iter().map(|step| job(step.name())).collect(),
    }
}

fn judge(
    suite: &Suite,
    config: &GateConfig,
    jobs: &[JobName],
    locked: Option<&Path>,
    reporters: &mut Reporters,
) -> Result<(Vec<LaneReport>, bool), Failure> {
    let mut lanes: Vec<LaneReport> = Vec::new();
    let mut poisoned_by = None;
    for (lane, (step, job)) in suite.steps.iter().zip(jobs).enumerate() {
        reporters.tell(&Event::LaneStarted(LaneStart { lane, job, steps: config.steps }));
        let mut report = if let Some(culprit) = &poisoned_by {
            let mut report = gate::blank_report(step.as_ref(), config, Verdict::NotRun);
            report.not_checked.push(format!("step '{culprit}' left the device unusable; run this one by itself"));
            report
        } else if config.stop.load(Ordering::Relaxed) {
            gate::blank_report(step.as_ref(), config, Verdict::Interrupted)
        } else {
            let asked = config.steps;
            let mut progress = |Progress::Steps(done)| reporters.tell(&Event::Progress { lane, done, asked });
            let outcome = gate::run(&suite.session, step, config, &mut progress)?;
            if outcome.poisoned {
                poisoned_by = Some(step.name().to_owned());
            }
            outcome.report
        };
        if let Some(folder) = locked {
            compare_with_reviewed(folder, &mut report)?;
        }
        reporters.end_lane(lane, &report);
        lanes.push(report);
    }
    Ok((lanes, poisoned_by.is_some()))
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

fn receipt(suite: &Suite, config: &GateConfig, provenance: Provenance, lanes: Vec<LaneReport>) -> Receipt {
    let interrupted = config.stop.load(Ordering::Relaxed);
    let (verdict, code) = match (interrupted, lanes.iter().any(LaneReport::failed)) {
        (true, _) => (Verdict::Interrupted, ExitCode::Interrupted),
        (false, true) => (Verdict::Fail, ExitCode::Findings),
        (false, false) => (Verdict::Pass, ExitCode::Passed),
    };
    let receipt = Receipt {
        format: receipt::FORMAT,
        provenance,
        driver: receipt::Driver {
            kind: suite.selected.kind,
            path: suite.selected.path.as_ref().map(|path| path.display().to_string()),
            reason: suite.selected.reason.clone(),
        },
        device: suite.session.facts().clone(),
        request: Request { steps: config.steps, kernels: suite.kernels.clone(), partition: None, not_run: Vec::new() },
        sources: suite::hashes(&suite.steps),
        lanes,
        geometry: Vec::new(),
        verdict,
        exit_code: code.code(),
        seal: String::new(),
    };
    receipt.sealed()
}
