//! `graphproof bench step`: how fast steps are, eagerly and as graphs.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::receipt::AtomicFile;
use anyhow::{Context as _, anyhow};
use graphproof_harness::driver::DriverKind;
use graphproof_harness::exit_code::ExitCode;
use graphproof_harness::gate::{self, Speed};
use graphproof_harness::report::Spread;

use super::ceiling::{Beside, Ceilings, OfCeiling};
use crate::args::BenchStepArgs;
use crate::commands::Failure;
use crate::commands::suite::Planned;
use crate::interrupt;
use crate::output::finding;
use crate::output::json::io;
use crate::output::progress::StepBar;
use crate::output::table::time;
use crate::suite::{Parameters, Suite};

/// One measured step.
#[derive(Debug, serde::Serialize)]
struct Row {
    step: String,
    shape: String,
    /// Floating-point operations of a step, if the suite says.
    flop: Option<f64>,
    /// 10^12 of them a second, by the median of replays back to back.
    tflops: Option<f64>,
    /// A ceiling measured in this run; not by the software driver, whose times are no GPU's.
    #[serde(skip_serializing_if = "Option::is_none")]
    ceiling: Option<OfCeiling>,
    /// The suite's plain step, if this run measured it.
    #[serde(skip_serializing_if = "Option::is_none")]
    beside: Option<Beside>,
    #[serde(flatten)]
    speed: Speed,
}

#[derive(Debug, serde::Serialize)]
struct Measured {
    driver: String,
    device: String,
    driver_version: i32,
    /// Whether the run was stopped before it had measured every step.
    interrupted: bool,
    rows: Vec<Row>,
}

pub fn run(args: &BenchStepArgs, own: Arc<dyn Suite>) -> Result<ExitCode, Failure> {
    let file =
        args.json.as_deref().map(|path| AtomicFile::prepare(path, "the figures", "--json")).transpose().map_err(io)?;
    let suite = Planned::of_steps(&args.target, own, &args.steps_named)?;
    let device = suite.session.facts();
    let shape = suite.jobs[0].job.shape.clone();
    let stop = interrupt::flag();
    println!(
        "{} driver: {}, shape {}, inputs of step 0, {}",
        suite.selected.kind.name(),
        device.name,
        shape,
        suite.kernels
    );
    println!("step          TFLOP/s   replay, device  replay, launch and wait  eager        eager/replay  capture");
    let mut rows = Vec::new();
    let mut ceilings = Ceilings::default();
    let bar = StepBar::in_pipes("bench step", suite.jobs.len() as u64);
    for step in suite.steps() {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let mut failed = None;
        let mut visit = |name: &str, bytes: &[u8]| {
            if let Some(folder) = &args.dump {
                failed = failed.take().or(dump(folder, step.name(), name, bytes).err());
            }
        };
        let measured = gate::measure(&suite.session, step, Duration::from_secs_f64(args.seconds), &mut visit)?;
        if let Some(error) = failed {
            return Err(io(error));
        }
        let speed = match measured {
            Ok(speed) => speed,
            Err(findings) => {
                findings.iter().for_each(|found| eprint!("{}", finding::render(step.name(), found)));
                return Err(Failure::new(ExitCode::Findings, anyhow!("step '{}' failed", step.name())));
            }
        };
        let mut row = row(suite.suite.as_ref(), step.name(), &shape, speed);
        println!("{}", line(&row));
        if let (Some(tflops), DriverKind::System) = (row.tflops, suite.selected.kind) {
            row.ceiling = ceilings.of(suite.suite.as_ref(), &suite.session, step.name(), tflops)?;
        }
        rows.push(row);
        bar.at(rows.len() as u64);
    }
    if let Some(folder) = &args.dump {
        let extents: serde_json::Map<String, serde_json::Value> =
            shape.iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
        let shape = serde_json::to_vec(&extents).map_err(|error| io(error.into()))?;
        write(&folder.join("shape.json"), &shape).map_err(io)?;
    }
    let interrupted = rows.len() < suite.jobs.len();
    set_beside(&mut rows, suite.suite.yardstick());
    rows.iter().filter_map(notes).for_each(|line| println!("{line}"));
    if interrupted {
        println!("INTERRUPTED: {} of {} steps measured", rows.len(), suite.jobs.len());
    }
    if let Some(file) = file {
        let measured = Measured {
            driver: suite.selected.kind.name().to_owned(),
            device: device.name.clone(),
            driver_version: device.driver_version,
            interrupted,
            rows,
        };
        file.write_json(&measured).map_err(io)?;
    }
    Ok(if interrupted { ExitCode::Interrupted } else { ExitCode::Passed })
}

fn row(suite: &dyn Suite, step: &str, shape: &Parameters, speed: Speed) -> Row {
    let flop = suite.flop(step, shape);
    let tflops = flop.map(|flop| flop / speed.replay_back_to_back.median.max(1) as f64 / 1e3);
    Row { step: step.to_owned(), shape: shape.to_string(), flop, tflops, ceiling: None, beside: None, speed }
}

/// Sets each row's time beside that of the step `plain`, if it was measured.
fn set_beside(rows: &mut [Row], plain: Option<&str>) {
    let Some(of_plain) = rows.iter().find(|row| Some(row.step.as_str()) == plain) else { return };
    let (step, time) = (of_plain.step.clone(), of_plain.speed.replay_back_to_back.median);
    for row in rows.iter_mut().filter(|row| row.step != step) {
        let times_as_fast = time as f64 / row.speed.replay_back_to_back.median.max(1) as f64;
        row.beside = Some(Beside { step: step.clone(), times_as_fast });
    }
}

/// What stands beside a row, if anything does.
fn notes(row: &Row) -> Option<String> {
    let ceiling =
        row.ceiling.as_ref().map(|of| format!("{:.1}% of {} ({:.1} TFLOP/s)", of.share * 100.0, of.what, of.tflops));
    let beside = row.beside.as_ref().map(|of| format!("{:.2} times as fast as {}", of.times_as_fast, of.step));
    let notes: Vec<String> = ceiling.into_iter().chain(beside).collect();
    (!notes.is_empty()).then(|| format!("{}: {}", row.step, notes.join(", ")))
}

fn line(row: &Row) -> String {
    let Speed { eager, replay, replay_back_to_back, capture, .. } = &row.speed;
    let spread = |spread: &Spread| {
        let half = (spread.high - spread.low) as f64 / 2.0 / spread.median.max(1) as f64;
        format!("{} ±{:.1}%", time(spread.median), half * 100.0)
    };
    format!(
        "{:<12}  {:>7}   {:<14}  {:<23}  {:<11}  x{:<11.3}  {}",
        row.step,
        row.tflops.map_or_else(|| "-".to_owned(), |tflops| format!("{tflops:.3}")),
        spread(replay_back_to_back),
        spread(replay),
        spread(eager),
        eager.median as f64 / replay.median.max(1) as f64,
        time(*capture)
    )
}

/// Keeps a buffer's bytes, as they lie in memory, in `FOLDER/STEP.NAME.bin`.
fn dump(folder: &Path, step: &str, name: &str, bytes: &[u8]) -> anyhow::Result<()> {
    write(&folder.join(format!("{step}.{name}.bin")), bytes)
}

fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    std::fs::write(path, bytes).with_context(|| format!("{} cannot be written", path.display()))
}
