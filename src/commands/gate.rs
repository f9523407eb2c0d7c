//! `graphproof gate`: judges steps.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

use graphproof_harness::checks::topology;
use graphproof_harness::exit_code::ExitCode;
use graphproof_harness::gate::{self, GateConfig, Progress};
use graphproof_harness::report::{LaneReport, Receipt, Verdict};

use super::Failure;
use super::suite::{self, Suite};
use crate::args::GateArgs;
use crate::interrupt;
use crate::output::json::ReceiptFile;
use crate::output::progress::StepBar;
use crate::output::{finding, table};

/// Version of the receipt's format.
const RECEIPT_FORMAT: u32 = 1;

pub fn run(args: &GateArgs) -> Result<ExitCode, Failure> {
    let file = args.json.as_deref().map(ReceiptFile::prepare).transpose()?;
    let suite = Suite::resolve(&args.target, &args.steps_named)?;
    let config = GateConfig {
        steps: args.steps,
        seed: args.seed,
        patience: Duration::from_secs(args.patience),
        stop: interrupt::flag(),
    };
    print!("{}", heading(&suite, &config));
    let (mut lanes, poisoned) = judge(&suite, &config)?;
    if let Some(folder) = &args.locked {
        compare_with_reviewed(folder, &mut lanes)?;
    }
    print!("{}", table::render(&lanes));
    for lane in &lanes {
        for finding in &lane.findings {
            print!("\n{}", finding::render(&lane.step, finding));
        }
        for reason in &lane.not_checked {
            println!("\nnot checked in step '{}': {reason}", lane.step);
        }
    }
    println!("\n{}", verdict_line(&lanes));
    let interrupted = config.stop.load(Ordering::Relaxed);
    let code = match (interrupted, lanes.iter().any(LaneReport::failed)) {
        (true, _) => ExitCode::Interrupted,
        (false, true) => ExitCode::Findings,
        (false, false) => ExitCode::Passed,
    };
    if let Some(file) = file {
        if interrupted {
            println!("interrupted: no receipt was written");
        } else {
            file.write(&receipt(&suite, &config, lanes))?;
        }
    }
    if poisoned {
        // The lost run's thread may hold the driver: leave without waiting for it.
        std::process::exit(i32::from(code.code()));
    }
    Ok(code)
}

fn judge(suite: &Suite, config: &GateConfig) -> Result<(Vec<LaneReport>, bool), Failure> {
    let mut lanes: Vec<LaneReport> = Vec::new();
    let mut poisoned_by = None;
    for step in &suite.steps {
        if let Some(culprit) = &poisoned_by {
            let mut report = gate::blank_report(step.as_ref(), config, Verdict::NotRun);
            report.not_checked.push(format!("step '{culprit}' left the device unusable; run this one by itself"));
            lanes.push(report);
            continue;
        }
        if config.stop.load(Ordering::Relaxed) {
            lanes.push(gate::blank_report(step.as_ref(), config, Verdict::Interrupted));
            continue;
        }
        let bar = StepBar::new(step.name(), config.steps);
        let outcome = gate::run(&suite.session, step, config, &mut |Progress::Steps(done)| bar.at(done))?;
        drop(bar);
        if outcome.poisoned {
            poisoned_by = Some(step.name().to_owned());
        }
        lanes.push(outcome.report);
    }
    Ok((lanes, poisoned_by.is_some()))
}

/// `--locked`: the graphs must be those that were reviewed.
fn compare_with_reviewed(folder: &Path, lanes: &mut [LaneReport]) -> Result<(), Failure> {
    for lane in lanes {
        let Some(graph) = &lane.graph else { continue };
        let file = folder.join("snapshots").join(format!("graph_{}.snap", lane.step));
        let text = match std::fs::read_to_string(&file) {
            Ok(text) => Some(text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => {
                let error = anyhow::Error::new(error).context(format!("cannot read {}", file.display()));
                return Err(Failure::new(ExitCode::Io, error));
            }
        };
        let reviewed = text.as_deref().map(topology::snapshot_text);
        if let Some(finding) = topology::check(graph, reviewed, &file.display().to_string()) {
            lane.findings.push(finding);
            lane.verdict = Verdict::Fail;
        }
    }
    Ok(())
}

fn heading(suite: &Suite, config: &GateConfig) -> String {
    let device = suite.session.facts();
    format!(
        "graphproof {}, {} driver: {} (sm_{}{}, CUDA {}.{})\nshape {}, {} replays a step, seed {}, {}\n\n",
        env!("CARGO_PKG_VERSION"),
        suite.selected.kind.name(),
        device.name,
        device.compute_capability.0,
        device.compute_capability.1,
        device.driver_version / 1000,
        device.driver_version % 1000 / 10,
        suite.shape,
        config.steps,
        config.seed,
        suite.kernels,
    )
}

fn verdict_line(lanes: &[LaneReport]) -> String {
    let findings: usize = lanes.iter().map(|lane| lane.findings.len()).sum();
    let compared: u64 = lanes.iter().map(|lane| lane.steps_compared).sum();
    let agreeing: u64 = lanes.iter().map(|lane| lane.steps_agreeing).sum();
    let word = if lanes.iter().any(LaneReport::failed) {
        "FAIL"
    } else if lanes.iter().any(|lane| lane.verdict == Verdict::Interrupted) {
        "INTERRUPTED"
    } else {
        "PASS"
    };
    format!(
        "{word}: {} steps, {agreeing} of {compared} replays equal to eager bit for bit, {findings} findings",
        lanes.len()
    )
}

fn receipt(suite: &Suite, config: &GateConfig, lanes: Vec<LaneReport>) -> Receipt {
    Receipt {
        format: RECEIPT_FORMAT,
        graphproof: env!("CARGO_PKG_VERSION").to_owned(),
        driver: suite.selected.kind,
        driver_reason: suite.selected.reason.clone(),
        device: suite.session.facts().clone(),
        seed: config.seed,
        shape: suite.shape.to_string(),
        kernels: suite.kernels.clone(),
        sources: suite::hashes(&suite.steps),
        lanes,
    }
}
