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
use graphproof_harness::report::{Achieved, Spread};

use crate::args::BenchStepArgs;
use crate::commands::Failure;
use crate::commands::ceiling::{Ceilings, set_beside};
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
    /// What the device time comes to, if the suite counts operations. A ceiling is not measured on the software driver,
    /// whose times are no GPU's.
    #[serde(flatten)]
    achieved: Option<Achieved>,
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
        if let (Some(achieved), DriverKind::System) = (&mut row.achieved, suite.selected.kind) {
            achieved.ceiling = ceilings.of(suite.suite.as_ref(), &suite.session, step.name(), achieved.tflops)?;
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
    let timed = rows
        .iter_mut()
        .filter_map(|row| Some((row.step.as_str(), row.speed.replay_back_to_back.median, row.achieved.as_mut()?)));
    set_beside(timed, suite.suite.yardstick());
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
    let time = speed.replay_back_to_back.median;
    let achieved = suite.flop(step, shape).map(|flop| Achieved::of(flop, time));
    Row { step: step.to_owned(), shape: shape.to_string(), achieved, speed }
}

/// What stands beside a row, if anything does.
fn notes(row: &Row) -> Option<String> {
    let beside = row.achieved.as_ref()?.beside_it();
    (!beside.is_empty()).then(|| format!("{}: {}", row.step, beside.join(", ")))
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
        row.achieved.as_ref().map_or_else(|| "-".to_owned(), |of| format!("{:.3}", of.tflops)),
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
