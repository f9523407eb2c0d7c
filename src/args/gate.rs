//! Arguments of `graphproof gate`.

use std::path::PathBuf;

use crate::config::Partition;
use clap::Args;
use graphproof_harness::capture_as::{CaptureMode, StreamKind};
use graphproof_harness::driver::DriverChoice;

use super::{ConfigArgs, PolicyArgs, SuiteArgs};

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

impl ReportArgs {
    /// Whether a file is asked for that holds, or is made from, a whole receipt.
    pub fn wants_receipt(&self) -> bool {
        self.json.is_some() || self.html.is_some()
    }
}
