//! The command line, as data.

mod compare;
#[cfg(feature = "indexer")]
mod kernels;
mod trace;

use std::path::PathBuf;

use crate::config::Partition;
#[cfg(feature = "indexer")]
use crate::conformance::random::Seeds;
#[cfg(feature = "indexer")]
use clap::builder::TypedValueParser as _;
use clap::{Args, Parser, Subcommand};
use graphproof_harness::capture_as::{CaptureMode, StreamKind};
use graphproof_harness::driver::DriverChoice;
use graphproof_harness::exit_code::ExitCode;

pub use compare::{DiffArgs, MergeArgs, PolicyArgs, ReplayArgs};
#[cfg(feature = "indexer")]
pub use kernels::{KernelsArgs, KernelsChildArgs};
pub use trace::{BenchRecordArgs, LibrariesArgs, TraceArgs};

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

/// Values that are not given come from `graphproof.toml`, and else from its defaults.
#[derive(Debug, Args)]
pub struct GateArgs {
    #[command(flatten)]
    pub suite: SuiteArgs,
    /// Judge only this step; may be given several times. See `graphproof list`.
    #[arg(long = "step", value_name = "NAME")]
    pub steps_named: Vec<String>,
    /// Steps to replay and compare, each with fresh inputs [default: 64].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub steps: Option<u64>,
    /// Seed of the inputs [default: 0]; may be given several times.
    #[arg(long = "seed", value_name = "N")]
    pub seeds: Vec<u64>,
    /// Parameters that differ from their default; may be given several times, for several shapes.
    #[arg(long = "shape", value_name = "NAME=N,…")]
    pub shapes: Vec<String>,
    /// auto: NVIDIA's driver where it has a device, else the software driver [default: auto].
    #[arg(long, value_name = "auto|system|software")]
    pub driver: Option<DriverChoice>,
    /// Do not record the calls that steps make of the driver: a recorder stands in front of NVIDIA's else,
    /// as of `graphproof trace`. The receipt says what is not looked for then.
    #[arg(long)]
    pub no_record: bool,
    /// Compile the CUDA sources with NVRTC now, instead of using the committed PTX.
    #[arg(long, overrides_with = "no_compile")]
    pub compile: bool,
    /// Use the committed PTX, whatever the configuration says.
    #[arg(long, overrides_with = "compile")]
    pub no_compile: bool,
    /// Fail if a graph is not the one reviewed in `snapshots/graph_STEP.snap` below this folder; without
    /// one, below the nearest folder above that has them, up to the root of the checkout.
    #[arg(long, value_name = "DIR", num_args = 0..=1, overrides_with = "no_locked")]
    pub locked: Option<Option<PathBuf>>,
    /// Accept the graphs of this run as reviewed: shows what changed and writes the files that --locked
    /// reads, of each step without a finding.
    #[arg(long, conflicts_with_all = ["against", "no_locked"])]
    pub bless: bool,
    /// Accept any graph, whatever the configuration says.
    #[arg(long, overrides_with = "locked")]
    pub no_locked: bool,
    /// The streams that steps run on and are replayed on, a run for each: blocking, nonblocking, per-thread
    /// or legacy. The legacy stream cannot be captured: the capture is made on a stream of its own then.
    #[arg(long = "stream", value_name = "KIND,…", value_delimiter = ',', default_values_t = [StreamKind::default()])]
    pub streams: Vec<StreamKind>,
    /// The modes that steps are captured in, a run for each: global, thread-local or relaxed.
    #[arg(long = "mode", value_name = "MODE,…", value_delimiter = ',', default_values_t = [CaptureMode::default()])]
    pub modes: Vec<CaptureMode>,
    /// Also replay four more steps without a wait in between, the host being as far ahead as it can be: for
    /// engines that prepare a step while the last one runs.
    #[arg(long)]
    pub pipelined: bool,
    /// Also replay each step under N seeded orders of ready nodes, blocks, warps and asynchronous copies, and under
    /// the two extremes, on the software driver.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub orders: u64,
    /// Also capture each step in a process of its own that has not run it, as `graphproof cold` does, and then
    /// at the next shape of the run, if there are several.
    #[arg(long)]
    pub cold: bool,
    /// Seconds without progress after which a run counts as hung [default: 60].
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    pub patience: Option<u64>,
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Run only this part of the jobs: 2/8 takes the second, the tenth, the eighteenth, ….
    #[arg(long, value_name = "PART/PARTS")]
    pub partition: Option<Partition>,
    /// Stop after the first job that fails.
    #[arg(long, overrides_with = "no_fail_fast")]
    pub fail_fast: bool,
    /// Run every job, whatever the configuration says.
    #[arg(long, overrides_with = "fail_fast")]
    pub no_fail_fast: bool,
    /// Run a failed job again, so often at most; a retry that passes is a finding of its own, V14
    /// [default: 0].
    #[arg(long, value_name = "N")]
    pub retries: Option<u64>,
    /// Leave out what the lanes would need at 65,536 and 131,072 keys, which is otherwise measured,
    /// by allocating it, whenever a file is written.
    #[arg(long)]
    pub no_geometry: bool,
    /// Judge the kernels of this git revision too, with the host code of this program, and
    /// compare: fails on differences as `graphproof diff` does.
    #[arg(long, value_name = "REV")]
    pub against: Option<String>,
    /// With --against: write that revision's receipt to this file.
    #[arg(long, value_name = "FILE", requires = "against")]
    pub json_against: Option<PathBuf>,
    #[command(flatten)]
    pub policy: PolicyArgs,
    #[command(flatten)]
    pub report: ReportArgs,
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

/// Where a run is told, beside the terminal.
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// Write the receipt to this file as JSON.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write every event to this file as it happens, one JSON object a line.
    #[arg(long, value_name = "FILE")]
    pub events: Option<PathBuf>,
    /// Write a report to this file: one HTML file that needs nothing else.
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Write the timelines to this file, for Perfetto or chrome://tracing.
    #[arg(long, value_name = "FILE")]
    pub trace: Option<PathBuf>,
    /// Write the verdicts to this file as JUnit's XML.
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// Write the findings to this file as SARIF 2.1.0.
    #[arg(long, value_name = "FILE")]
    pub sarif: Option<PathBuf>,
    /// Print annotations for GitHub Actions and append to $GITHUB_STEP_SUMMARY, as is done by
    /// itself where GITHUB_ACTIONS=true.
    #[arg(long, overrides_with = "no_github")]
    pub github: bool,
    /// Do neither, even there.
    #[arg(long, overrides_with = "github")]
    pub no_github: bool,
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

impl ReportArgs {
    /// Whether a file is asked for that holds, or is made from, a whole receipt.
    pub fn wants_receipt(&self) -> bool {
        self.json.is_some() || self.html.is_some()
    }
}

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

#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// auto: NVIDIA's driver where it has a device, else the software driver.
    #[arg(long, default_value = "auto", value_name = "auto|system|software")]
    pub driver: DriverChoice,
}

#[cfg(feature = "indexer")]
#[derive(Debug, Args)]
pub struct FaultsArgs {
    /// Only faults with this text in their name, row or group: `memset`, `A07`, `indexer`.
    #[arg(long, value_name = "TEXT", conflicts_with = "clean")]
    pub filter: Option<String>,
    /// auto: NVIDIA's driver where it has a device, else the software driver.
    #[arg(long, default_value = "auto", value_name = "auto|system|software")]
    pub driver: DriverChoice,
    /// Write the matrix to this file as JSON.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Children at a time; by default as many as there are cores, and one on a GPU.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..).map(|n| n as usize))]
    pub jobs: Option<usize>,
    /// Print what the gate says about this planted fault, as a user would see it.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["clean", "filter", "json"])]
    pub show: Option<String>,
    /// Do not record the calls of the driver, and judge by what is left.
    #[arg(long)]
    pub no_record: bool,
    /// No faults: run the indexer's lanes over many seeds and shapes, on which nothing may be found.
    #[arg(long)]
    pub clean: bool,
    /// With --clean: seeds for each lane and shape.
    #[arg(long, default_value_t = 200, requires = "clean", value_parser = clap::value_parser!(u64).range(1..))]
    pub seeds: u64,
    /// With --clean: replays of each run under so many seeded orders too, and under the two extremes.
    #[arg(long, default_value_t = 0, requires = "clean")]
    pub orders: u64,
    /// With --clean: shapes, 20 at most.
    #[arg(long, default_value_t = 20, requires = "clean", value_parser = clap::value_parser!(u64).range(1..=20).map(|n| n as usize))]
    pub shapes: usize,
}

#[cfg(feature = "indexer")]
#[derive(Debug, Args)]
pub struct FaultChildArgs {
    /// The planted fault, or the lane.
    pub name: String,
    /// The clean twin instead.
    #[arg(long)]
    pub twin: bool,
    /// Run the lane of this name at this shape instead of a fault.
    #[arg(long)]
    pub shape: Option<String>,
    /// With --shape: seeds, from 0.
    #[arg(long, default_value_t = 1)]
    pub seeds: u64,
    /// Replays.
    #[arg(long)]
    pub steps: Option<u64>,
    /// Replays under seeded orders.
    #[arg(long, default_value_t = 0)]
    pub orders: u64,
    /// Do not record the calls of the driver.
    #[arg(long)]
    pub no_record: bool,
    /// The driver.
    #[arg(long, default_value = "auto")]
    pub driver: DriverChoice,
    /// Seconds without progress after which a run counts as hung.
    #[arg(long, default_value_t = 30)]
    pub patience: u64,
}

#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// The id, such as S01; or an error code by number or name, such as 901 or
    /// cudaErrorStreamCaptureUnsupported. Without one, all ids are listed.
    pub id: Option<String>,
}

#[cfg(feature = "indexer")]
#[derive(Debug, Args)]
pub struct ConformanceArgs {
    /// auto: NVIDIA's driver where it has a device, else the software driver.
    #[arg(long, default_value = "auto", value_name = "auto|system|software")]
    pub driver: DriverChoice,
    /// Only cells whose `case@cell` contains this.
    #[arg(long)]
    pub filter: Option<String>,
    /// Record what NVIDIA's driver of this version answers, as the golden file.
    #[arg(long, value_name = "DRIVER_VERSION")]
    pub bless_as: Option<String>,
    /// Ask the software driver to answer as the driver of this CUDA version, 11.0 to 13.3: cases that need a newer
    /// one are skipped, and what an older driver did otherwise has not been measured.
    #[arg(long = "as", value_name = "VERSION")]
    pub as_version: Option<String>,
    /// List the cells, or the random sequences with what --against recorded, instead of running them.
    #[arg(long)]
    pub list: bool,
    /// Child processes beside each other; as many as there are processors, if not given.
    #[arg(long)]
    pub jobs: Option<usize>,
    /// Seconds that one child may take.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..))]
    pub limit: u64,
    /// Write all results to this file as JSON.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    #[command(flatten)]
    pub random: RandomArgs,
}

#[cfg(feature = "indexer")]
/// Random sequences of calls instead of the cases.
#[derive(Debug, Args)]
pub struct RandomArgs {
    /// Run random sequences of these seeds instead of the cases: 7, or 1..20 with both ends.
    #[arg(long = "random", value_name = "SEED[..SEED]", conflicts_with_all = ["filter", "bless_as"])]
    pub seeds: Option<Seeds>,
    /// With --random: sequences of each seed.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..=1_000_000), requires = "seeds")]
    pub count: u64,
    /// With --random: what the answers are compared with, a record or a driver of this machine.
    #[arg(long, value_name = "FILE|system|software", requires = "seeds")]
    pub against: Option<PathBuf>,
    /// With --random: write the answers to this file, to compare another driver with later.
    #[arg(long, value_name = "FILE", requires = "seeds")]
    pub record: Option<PathBuf>,
    /// With --random: write the answers of the live driver that was compared with to this file.
    #[arg(long, value_name = "FILE", requires = "against")]
    pub record_against: Option<PathBuf>,
    /// With --random: how many differences of each kind to cut down to a minimal case.
    #[arg(long, value_name = "N", default_value_t = 1, requires = "against")]
    pub shrink: usize,
    /// With --random: write the minimal cases to this folder.
    #[arg(long, value_name = "DIR", requires = "against")]
    pub minimal: Option<PathBuf>,
    /// With --random: a process for every sequence, instead of many in one.
    #[arg(long, requires = "seeds")]
    pub alone: bool,
}

#[cfg(feature = "indexer")]
/// One cell of one case, for the parent process.
#[derive(Debug, Args)]
pub struct ConformanceChildArgs {
    #[arg(long = "as")]
    pub as_version: Option<String>,
    pub driver: String,
    pub case: PathBuf,
    #[arg(allow_hyphen_values = true)]
    pub cell: String,
}

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

fn exit_codes() -> String {
    let mut text = String::from("Exit codes:\n");
    for code in ExitCode::ALL {
        text.push_str(&format!("  {:>3}  {}\n", code.code(), code.meaning()));
    }
    text
}
