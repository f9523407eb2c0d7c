//! The command line, as data.

mod bench;
mod compare;
#[cfg(feature = "indexer")]
mod conformance;
#[cfg(feature = "indexer")]
mod faults;
mod gate;
#[cfg(feature = "indexer")]
mod kernels;
mod step;
mod trace;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use graphproof_harness::driver::DriverChoice;
use graphproof_harness::exit_code::ExitCode;

pub use bench::{BenchArgs, BenchChecksArgs, BenchRecordArgs, BenchStepArgs, BenchWhat};
pub use compare::{DiffArgs, MergeArgs, PolicyArgs, ReplayArgs};
#[cfg(feature = "indexer")]
pub use conformance::{ConformanceArgs, ConformanceChildArgs};
#[cfg(feature = "indexer")]
pub use faults::{FaultChildArgs, FaultsArgs};
pub use gate::{GateArgs, ReportArgs};
#[cfg(feature = "indexer")]
pub use kernels::{KernelsArgs, KernelsChildArgs};
pub use step::{BisectArgs, ColdArgs, GraphArgs, TargetArgs};
pub use trace::{LibrariesArgs, TraceArgs};

/// Proves that a GPU step is safe to run as a CUDA graph: runs it eagerly, captures it, replays
/// the graph over many steps with varying inputs, and reports the first thing that differs.
///
/// Without a command, runs `gate` on the default suite.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true, after_help = exit_codes())]
pub struct Cli {
    #[command(subcommand)]
    pub command: Option<Command>,
    #[command(flatten)]
    pub gate: GateArgs,
    /// Say more: -v for what the harness does, -vv for every detail.
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    pub verbose: u8,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Judge steps: eager runs, capture, replays, comparison.
    #[command(after_help = exit_codes())]
    Gate(Box<GateArgs>),
    /// Write a graphproof.toml with every key, its default and what it does, or a file of steps.
    Init(InitArgs),
    /// List the steps, or the checks that judge them.
    List(ListArgs),
    /// Print the graph that a step is captured into, with every address named by its buffer.
    Graph(GraphArgs),
    /// Take apart a step whose replay differs: its nodes one by one beside the eager step, up to the first that
    /// differs.
    Bisect(BisectArgs),
    /// Capture a step in a process that has not run it, and tell what its first call does: allocate, load, tune.
    Cold(ColdArgs),
    /// Tell which driver, device and compiler would be used, and why.
    Doctor(DoctorArgs),
    #[cfg(feature = "indexer")]
    /// Prove the checks: planted faults, each caught under its id, and clean twins without a finding.
    Faults(FaultsArgs),
    #[cfg(feature = "indexer")]
    /// Run one planted fault, or one lane over many seeds, and print the reports as JSON.
    #[command(hide = true)]
    FaultChild(FaultChildArgs),
    /// Tell what a finding id, or an error code of capture, means, why CUDA behaves so, and how to fix it.
    Explain(ExplainArgs),
    #[cfg(feature = "indexer")]
    /// Ask a driver, case by case, whether it does in stream capture what CUDA is known to do.
    Conformance(ConformanceArgs),
    #[cfg(feature = "indexer")]
    /// Run random kernels, and compare what a driver answers with another's answers, bit for bit.
    Kernels(KernelsArgs),
    /// Compare two receipts lane by lane: what did this kernel change do?
    Diff(DiffArgs),
    /// Join the receipts of the parts of a suite to one.
    Merge(MergeArgs),
    /// Tell a kept receipt again, with any reporter; exits with the code of its run.
    Report(ReplayArgs),
    /// Run a program and record its calls of the driver: captures, graphs, what broke them and where.
    Trace(TraceArgs),
    /// Write the libraries that put any program in front of the software driver, and print the variables for it.
    Libraries(LibrariesArgs),
    /// Measure graphproof itself.
    Bench(BenchArgs),
    #[cfg(feature = "indexer")]
    #[command(hide = true)]
    ConformanceChild(ConformanceChildArgs),
    #[cfg(feature = "indexer")]
    #[command(hide = true)]
    KernelsChild(KernelsChildArgs),
}

#[derive(Debug, Args)]
pub struct ListArgs {
    #[command(flatten)]
    pub suite: SuiteArgs,
    /// List the checks, what each reads and which ids it finds.
    #[arg(long)]
    pub checks: bool,
    /// Print the list as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Which steps there are.
#[derive(Debug, Args)]
pub struct SuiteArgs {
    /// The steps of this file, written in TOML, instead of the program's own.
    #[arg(long = "suite", value_name = "FILE")]
    pub file: Option<PathBuf>,
}

/// Which configuration holds.
#[derive(Debug, Args)]
pub struct ConfigArgs {
    /// Read this configuration instead of the nearest graphproof.toml.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Read no configuration.
    #[arg(long, conflicts_with = "config")]
    pub no_config: bool,
}

#[derive(Debug, Args)]
pub struct InitArgs {
    /// Where to write it [default: graphproof.toml, or step.toml with --step].
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Write a file of steps for `gate --suite` instead, with comments.
    #[arg(long)]
    pub step: bool,
}

#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// auto: NVIDIA's driver where it has a device, else the software driver.
    #[arg(long, default_value = "auto", value_name = "auto|system|software")]
    pub driver: DriverChoice,
}

#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// The id, such as S01; or an error code by number or name, such as 901 or
    /// cudaErrorStreamCaptureUnsupported. Without one, all ids are listed.
    pub id: Option<String>,
}

fn exit_codes() -> String {
    let mut text = String::from("Exit codes:\n");
    for code in ExitCode::ALL {
        text.push_str(&format!("  {:>3}  {}\n", code.code(), code.meaning()));
    }
    text
}
