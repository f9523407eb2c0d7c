//! Arguments of the commands that take one step: `graphproof graph`, `bisect` and `cold`.

use clap::Args;
use graphproof_harness::capture_as::{CaptureMode, StreamKind};
use graphproof_harness::driver::DriverChoice;

use super::SuiteArgs;

/// What to run on, and with which kernels.
#[derive(Debug, Args)]
pub struct TargetArgs {
    #[command(flatten)]
    pub suite: SuiteArgs,
    /// auto: NVIDIA's driver where it has a device, else the software driver.
    #[arg(long, default_value = "auto", value_name = "auto|system|software")]
    pub driver: DriverChoice,
    /// Parameters that differ from their default.
    #[arg(long, value_name = "NAME=N,…")]
    pub shape: Option<String>,
    /// Compile the CUDA sources with NVRTC now, instead of using the committed PTX.
    #[arg(long)]
    pub compile: bool,
}

#[derive(Debug, Args)]
pub struct BisectArgs {
    /// The step. See `graphproof list`.
    pub step: String,
    /// Steps to run until one differs.
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u64).range(1..))]
    pub steps: u64,
    /// Seed of the inputs.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    #[command(flatten)]
    pub target: TargetArgs,
}

#[derive(Debug, Args)]
pub struct ColdArgs {
    /// The step. See `graphproof list`.
    pub step: String,
    /// Then capture the step at this shape, in the same process: its first call after a change of shape.
    #[arg(long = "then", value_name = "NAME=N,…")]
    pub then: Option<String>,
    /// Print the findings as JSON.
    #[arg(long)]
    pub json: bool,
    /// The stream that it is captured on: blocking, nonblocking or per-thread; for the legacy stream, one of
    /// its own.
    #[arg(long, value_name = "KIND", default_value_t)]
    pub stream: StreamKind,
    /// The mode that it is captured in: global, thread-local or relaxed.
    #[arg(long, value_name = "MODE", default_value_t)]
    pub mode: CaptureMode,
    #[command(flatten)]
    pub target: TargetArgs,
}

#[derive(Debug, Args)]
pub struct GraphArgs {
    /// The step. See `graphproof list`.
    pub step: String,
    /// Print in Graphviz's language.
    #[arg(long)]
    pub dot: bool,
    #[command(flatten)]
    pub target: TargetArgs,
}
