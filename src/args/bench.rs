//! Arguments of `graphproof bench`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use graphproof_harness::driver::DriverChoice;

use super::TargetArgs;

#[derive(Debug, Args)]
pub struct BenchArgs {
    #[command(subcommand)]
    pub what: BenchWhat,
}

#[derive(Debug, Subcommand)]
pub enum BenchWhat {
    /// The PTX interpreter: lane-instructions a second on the fused kernel, and the overhead of a
    /// small launch.
    Exec,
    /// Graphs on the software driver: capture, instantiation and launch, beside eager launches.
    Graph,
    /// Loading a module of 160 entries and 14.7 MB of PTX, and decoding what is asked for.
    Load,
    /// The lanes themselves: eager time, replay time, TFLOP/s. Checks nothing.
    Step(BenchStepArgs),
    /// What the recorder of `graphproof trace` costs a call, in pairs of calls past it and through it.
    Record(BenchRecordArgs),
    /// What each check costs, beside the same steps run eagerly and replayed without a check.
    Checks(BenchChecksArgs),
}

#[derive(Debug, Args)]
pub struct BenchStepArgs {
    /// Measure only this step; may be given several times. See `graphproof list`.
    #[arg(long = "step", value_name = "NAME")]
    pub steps_named: Vec<String>,
    #[command(flatten)]
    pub target: TargetArgs,
    /// Seconds to measure each step for; each runs three times at least.
    #[arg(long, default_value_t = 1.0, value_parser = seconds)]
    pub seconds: f64,
    /// Keep inputs and outputs as raw bytes in this folder, as STEP.BUFFER.bin.
    #[arg(long, value_name = "DIR")]
    pub dump: Option<PathBuf>,
    /// Write the figures to this file as JSON.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds: f64 = text.parse().map_err(|_| format!("'{text}' is not a number of seconds"))?;
    if (0.0..=3600.0).contains(&seconds) { Ok(seconds) } else { Err("it must be from 0 to 3600".to_owned()) }
}

#[derive(Debug, Args)]
pub struct BenchChecksArgs {
    /// Measure only this step; may be given several times. See `graphproof list`.
    #[arg(long = "step", value_name = "NAME")]
    pub steps_named: Vec<String>,
    /// Steps to run and replay.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u64).range(1..))]
    pub steps: u64,
    #[command(flatten)]
    pub target: TargetArgs,
}

/// Measuring the recorder.
#[derive(Debug, Args)]
pub struct BenchRecordArgs {
    /// The driver behind the recorder. auto: NVIDIA's where it is installed, else the software driver.
    #[arg(long, default_value = "auto", value_name = "auto|system|software")]
    pub driver: DriverChoice,
    /// The measuring process itself, which has the recorder in front of this driver.
    #[arg(long, hide = true, value_name = "FILE")]
    pub driver_behind: Option<PathBuf>,
}
