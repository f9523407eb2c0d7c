//! What a run of one step leaves behind.

use std::collections::BTreeMap;

use crate::cuda::DeviceFacts;
use crate::driver::DriverKind;
use crate::finding::{Finding, Severity};

/// The outcome of one step.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct LaneReport {
    /// The step's name.
    pub step: String,
    /// The step in one line.
    pub summary: String,
    /// How it ended.
    pub verdict: Verdict,
    /// Steps asked for.
    pub steps_asked: u64,
    /// Steps replayed and compared.
    pub steps_compared: u64,
    /// Replays whose every compared buffer agreed with eager execution.
    pub steps_agreeing: u64,
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
    /// Checks that could not be made, with the reason.
    pub not_checked: Vec<String>,
    /// Digests of what was compared and of the inputs, as [`crate::digest`] defines them.
    #[serde(default)]
    pub digests: Digests,
}

/// Digests of a run, of 16 hexadecimal digits each. Two runs of the same steps on the same inputs
/// have the same, whatever the driver, where the results have the same bits.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Digests {
    /// Of each compared step, over all compared buffers of the eager reference.
    pub steps: Vec<String>,
    /// Over all compared steps, by buffer.
    pub buffers: BTreeMap<String, String>,
    /// Over the inputs of all compared steps.
    pub inputs: String,
}

/// How a step's run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Every check passed on every step.
    Pass,
    /// There are findings of severity error.
    Fail,
    /// Stopped by the user before the end, with no finding so far.
    Interrupted,
    /// Not run, because an earlier step left the device unusable.
    NotRun,
}

/// The captured graph in a report.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct GraphReport {
    /// Number of nodes.
    pub nodes: usize,
    /// Number of edges.
    pub edges: usize,
    /// Device addresses that the graph holds, each checked before every replay.
    pub pointers: usize,
    /// The graph as reviewed text, a line each.
    pub topology: Vec<String>,
}

/// Device memory of one set of the step's buffers.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct MemoryReceipt {
    /// High-water mark in bytes, as the driver's memory pool counted it.
    pub high_water: u64,
    /// Bytes by which `cuMemGetInfo`'s free memory fell when the buffers were allocated.
    pub device_delta: u64,
    /// The closed form in bytes, if the step has one.
    pub closed_form: Option<u64>,
    /// The closed form in words.
    pub formula: Option<String>,
}

impl MemoryReceipt {
    /// Measured over expected.
    pub fn ratio(&self) -> Option<f64> {
        self.closed_form.filter(|&bytes| bytes > 0).map(|bytes| self.high_water as f64 / bytes as f64)
    }
}

/// Host-side times in nanoseconds.
#[derive(Debug, Clone, Default, serde::Serialize, serde::Deserialize)]
pub struct Times {
    /// Eager step: record and wait.
    pub eager: Spread,
    /// Replay: launch and wait.
    pub replay: Spread,
    /// Capture of the step.
    pub capture: u64,
    /// Instantiation of the graph.
    pub instantiate: u64,
}

/// Median and quartiles of the samples kept.
#[derive(Debug, Clone, Default, serde::Serialize, serde::Deserialize)]
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

/// Samples in bounded memory: when full, every other one is dropped and the stride doubles.
#[derive(Debug)]
pub(crate) struct Samples {
    kept: Vec<u64>,
    stride: u64,
    seen: u64,
}

const SAMPLES_KEPT: usize = 1024;

impl Samples {
    pub(crate) fn new() -> Self {
        Samples { kept: Vec::new(), stride: 1, seen: 0 }
    }

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

/// The whole run.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct Receipt {
    /// Version of this format.
    pub format: u32,
    /// Version of graphproof.
    pub graphproof: String,
    /// Which driver.
    pub driver: DriverKind,
    /// Why that one.
    pub driver_reason: String,
    /// The device.
    pub device: DeviceFacts,
    /// Seed of inputs.
    pub seed: u64,
    /// Shape, as text.
    pub shape: String,
    /// Where the kernels come from.
    pub kernels: String,
    /// The modules that the steps launch from.
    pub sources: Vec<SourceHash>,
    /// The steps, in order.
    pub lanes: Vec<LaneReport>,
}

/// A PTX module and what it was made from, as SHA-256 in hex.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct SourceHash {
    /// The module, such as `fused.ptx`.
    pub file: String,
    /// Of the PTX text.
    pub ptx_sha256: String,
    /// Over all CUDA sources behind it and the compiler's options, if known.
    pub source_sha256: Option<String>,
}
