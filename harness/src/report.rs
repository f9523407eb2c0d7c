//! What a run of one step leaves behind.
//!
//! These types are the receipt's vocabulary: a change of theirs changes `docs/receipt.schema.json`.

use std::collections::BTreeMap;

use crate::finding::{Finding, Severity, Site};

/// The outcome of one step.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub struct LaneReport {
    /// The step's name.
    pub step: String,
    /// The step in one line.
    pub summary: String,
    /// The shape that it was run at, as text.
    pub shape: String,
    /// Seed of the inputs.
    pub seed: u64,
    /// How it ended.
    pub verdict: Verdict,
    /// Steps asked for.
    pub steps_asked: u64,
    /// Steps replayed and compared.
    pub steps_compared: u64,
    /// Replays whose every compared buffer agreed with eager execution.
    pub steps_agreeing: u64,
    /// The steps whose replay did not agree, in order; the first [`MOST_DIFFERING`] of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps_differing: Vec<u64>,
    /// Steps run eagerly twice, as the control.
    pub steps_controlled: u64,
    /// What is wrong.
    pub findings: Vec<Finding>,
    /// The graph.
    pub graph: Option<GraphReport>,
    /// Device memory.
    pub memory: Option<MemoryReceipt>,
    /// Times.
    pub times: Times,
    /// What the device achieves by them; none where its times are no GPU's, or the suite does not count operations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub speed: Option<Achieved>,
    /// What the steps gave, bit for bit.
    pub digests: Digests,
    /// Host calls beside device work, where the driver keeps a record.
    pub timelines: Vec<Timeline>,
    /// Checks that could not be made, with the reason.
    pub not_checked: Vec<String>,
}

/// Steps that [`LaneReport::steps_differing`] holds at most.
pub const MOST_DIFFERING: usize = 10_000;

/// How a step's run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Every check passed on every step.
    Pass,
    /// There are findings of severity error.
    Fail,
    /// Stopped by the user before the end, with no finding so far.
    Interrupted,
    /// Not run; `not_checked` says why.
    NotRun,
}

/// The captured graph in a report.
#[derive(Debug, Clone, Default, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub struct GraphReport {
    /// Number of nodes.
    pub nodes: usize,
    /// Number of edges.
    pub edges: usize,
    /// Device addresses that the graph holds, each checked before every replay.
    pub pointers: usize,
    /// The graph as reviewed text, a line each.
    pub topology: Vec<String>,
    /// The nodes, in the order of their creation.
    pub node_list: Vec<NodeReport>,
    /// Pairs of positions in `node_list`: the second waits for the first.
    pub edge_list: Vec<[usize; 2]>,
}

impl GraphReport {
    /// Kernel launches of one replay.
    pub fn kernels(&self) -> usize {
        self.node_list.iter().filter(|node| node.kernel.is_some()).count()
    }
}

/// One node of a captured graph.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub struct NodeReport {
    /// What it does, in one line.
    pub headline: String,
    /// The kernel, for a launch.
    pub kernel: Option<String>,
    /// The line of the step that made it, where known.
    pub site: Option<Site>,
    /// The buffers whose addresses it holds, each once.
    pub buffers: Vec<String>,
}

/// Digests of what the eager reference gave. Two runs on the same inputs gave the same bits if
/// their digests are equal; each is 16 hex digits. What they are taken over is described in
/// [`crate::digest`].
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub struct Digests {
    /// Over the inputs of all steps.
    pub inputs: String,
    /// Over the outputs and the state after each step, by step index.
    pub steps: Vec<String>,
    /// Over all steps, by the name of the compared buffer.
    pub buffers: BTreeMap<String, String>,
}

/// One run of the step on a line of time: what the host called, and what the device did.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub struct Timeline {
    /// Which run.
    pub run: RunKind,
    /// The step index.
    pub step: u64,
    /// In the order of their start.
    pub spans: Vec<Span>,
    /// Calls that found no room in the record.
    pub dropped: u64,
}

/// Which run a timeline shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RunKind {
    /// The step, recorded eagerly and waited for.
    Eager,
    /// A replay of the graph, waited for.
    Replay,
    /// The step, recorded eagerly while its stream was held.
    StalledStream,
}

/// A stretch of time on a track.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub struct Span {
    /// Where it ran.
    pub track: Track,
    /// The driver call, the kernel, `memcpy`, ….
    pub what: String,
    /// Nanoseconds from the start of the run.
    pub start_ns: u64,
    /// Nanoseconds.
    pub duration_ns: u64,
    /// Of them, nanoseconds that the host waited for the device.
    pub blocked_ns: u64,
    /// The graph's node, in the order of creation.
    pub node: Option<u32>,
}

/// Where a span ran.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Track {
    /// A thread of the host; the step's own is 0.
    Host(u64),
    /// A stream of the device, numbered as they appear.
    Stream(u64),
}

/// Device memory of one set of the step's buffers.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub struct MemoryReceipt {
    /// High-water mark in bytes, as the driver's memory pool counted it.
    pub high_water: u64,
    /// Bytes by which `cuMemGetInfo`'s free memory fell when the buffers were allocated.
    pub device_delta: u64,
    /// The closed form in bytes, if the step has one.
    pub closed_form: Option<u64>,
    /// The closed form in words.
    pub formula: Option<String>,
    /// The step's buffers and their bytes, in the order of their declaration.
    pub buffers: Vec<BufferBytes>,
}

/// The size of one buffer.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub struct BufferBytes {
    /// Its name.
    pub name: String,
    /// What it is to the step: `input`, `state`, `output` or `scratch`.
    pub role: String,
    /// Its size in bytes.
    pub bytes: u64,
}

impl MemoryReceipt {
    /// Measured over expected.
    pub fn ratio(&self) -> Option<f64> {
        self.closed_form.filter(|&bytes| bytes > 0).map(|bytes| self.high_water as f64 / bytes as f64)
    }
}

/// Times in nanoseconds, by the host's clock unless said otherwise.
#[derive(Debug, Clone, Default, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub struct Times {
    /// Eager step: record and wait.
    pub eager: Spread,
    /// Replay: launch and wait.
    pub replay: Spread,
    /// Capture of the step.
    pub capture: u64,
    /// Instantiation of the graph.
    pub instantiate: u64,
    /// Replay over eager time of the same step, in thousandths.
    pub replay_per_mille: Spread,
    /// A replay's time on the device on the inputs of step 0, by events around several that were enqueued behind one
    /// another; no samples where the device is not a GPU or something is wrong.
    #[serde(default, skip_serializing_if = "Spread::is_empty")]
    pub device: Spread,
    /// The whole job with everything that was checked, retries included; 0 if it was not taken.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub wall: u64,
}

fn is_zero(value: &u64) -> bool {
    *value == 0
}

/// What a step's device time comes to.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub struct Achieved {
    /// Floating-point operations of a step.
    pub flop: f64,
    /// 10^12 of them a second, by the median of the device time.
    pub tflops: f64,
    /// A ceiling of the device that was measured in the same run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ceiling: Option<OfCeiling>,
    /// The suite's plain step, where the same run judged it at the same shape.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beside: Option<Beside>,
}

/// A ceiling that was measured in the same run, and the step's share of it.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub struct OfCeiling {
    /// What was measured.
    pub what: String,
    /// 10^12 operations a second, by the median of replays back to back.
    pub tflops: f64,
    /// The step's TFLOP/s over these.
    pub share: f64,
}

/// Another step of the same run that does the same in the plain way.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub struct Beside {
    /// Its name.
    pub step: String,
    /// Its replay's device time over this step's.
    pub times_as_fast: f64,
}

impl Achieved {
    /// By `flop` operations in `nanoseconds`; nothing stands beside them yet.
    pub fn of(flop: f64, nanoseconds: u64) -> Self {
        Achieved { flop, tflops: flop / nanoseconds.max(1) as f64 / 1e3, ceiling: None, beside: None }
    }

    /// What stands beside it, in words.
    pub fn beside_it(&self) -> Vec<String> {
        let ceiling = self.ceiling.as_ref();
        let ceiling = ceiling.map(|of| format!("{:.1}% of {} ({:.1} TFLOP/s)", of.share * 100.0, of.what, of.tflops));
        let beside = self.beside.as_ref().map(|of| format!("{:.2} times as fast as {}", of.times_as_fast, of.step));
        ceiling.into_iter().chain(beside).collect()
    }
}

/// Median and quartiles of the samples kept.
#[derive(Debug, Clone, Default, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub struct Spread {
    /// Lower quartile.
    pub low: u64,
    /// Median.
    pub median: u64,
    /// Upper quartile.
    pub high: u64,
    /// Samples behind the figures.
    pub samples: u64,
}

impl Spread {
    /// Whether nothing was measured.
    pub fn is_empty(&self) -> bool {
        self.samples == 0
    }
}

/// Samples in bounded memory: when full, every other one is dropped and the stride doubles.
#[derive(Debug)]
pub(crate) struct Samples {
    kept: Vec<u64>,
    stride: u64,
    seen: u64,
}

const SAMPLES_KEPT: usize = 1024;

impl Default for Samples {
    fn default() -> Self {
        Samples { kept: Vec::new(), stride: 1, seen: 0 }
    }
}

impl Samples {
    pub(crate) fn push(&mut self, value: u64) {
        if self.seen.is_multiple_of(self.stride) {
            if self.kept.len() == SAMPLES_KEPT {
                let mut index = 0;
                self.kept.retain(|_| {
                    index += 1;
                    index % 2 == 1
                });
                self.stride *= 2;
            }
            self.kept.push(value);
        }
        self.seen += 1;
    }

    pub(crate) fn spread(&self) -> Spread {
        if self.kept.is_empty() {
            return Spread::default();
        }
        let mut sorted = self.kept.clone();
        sorted.sort_unstable();
        let at = |q: usize| sorted[(sorted.len() - 1) * q / 4];
        Spread { low: at(1), median: at(2), high: at(3), samples: self.seen }
    }
}

impl LaneReport {
    /// Whether a finding makes the gate fail.
    pub fn failed(&self) -> bool {
        self.findings.iter().any(|finding| finding.severity == Severity::Error)
    }
}
