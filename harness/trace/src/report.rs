//! What is told of a recorded program: the document behind every reporter.

use graphproof_harness::exit_code::ExitCode;
use graphproof_harness::finding::{Finding, Severity};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::calls::Burden;
use super::memory::Kind;

/// Version of the document's form. It rises with every change that an older reader would misread.
pub const FORMAT: u32 = 1;

/// A recorded program, judged.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Report {
    /// Version of this form.
    pub format: u32,
    /// Version of graphproof.
    pub graphproof: String,
    /// The verdict in a word.
    pub verdict: Verdict,
    /// What `graphproof report` exits with; `graphproof trace` hands on the program's own code.
    pub exit_code: u8,
    /// Each process, in the order in which they began.
    pub processes: Vec<ProcessReport>,
    /// What is not known of the whole.
    pub not_seen: Vec<String>,
}

/// The verdict about a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// No finding of severity error in what was seen.
    Clean,
    /// There are such findings.
    Findings,
    /// No call was recorded: nothing is known.
    NoRecord,
}

/// One process.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct ProcessReport {
    /// Its number.
    pub pid: u32,
    /// The number of the process that started it.
    pub parent: u32,
    /// Its arguments, the program first.
    pub command: Vec<String>,
    /// The driver's file; empty where it was never loaded.
    pub driver: String,
    /// As `cuDriverGetVersion` says: 13000 is CUDA 13.0.
    pub driver_version: u32,
    /// Whether that is the software driver.
    pub software: bool,
    /// Whether it came to its end by itself.
    pub ended: bool,
    /// Calls that were read.
    pub calls: u64,
    /// Threads that called the driver.
    pub threads: usize,
    /// What is wrong.
    pub findings: Vec<Finding>,
    /// Each capture, in the order of their beginnings.
    pub captures: Vec<CaptureReport>,
    /// Each graph that was instantiated.
    pub graphs: Vec<GraphReport>,
    /// Each graph that was replayed several times.
    pub loops: Vec<LoopReport>,
    /// Device memory.
    pub memory: MemoryReport,
    /// Driver objects that were never destroyed.
    pub alive: Vec<AliveReport>,
    /// Calls to which the driver answered what the capture model does not expect.
    pub disagreements: Vec<Disagreement>,
    /// What is not known.
    pub not_seen: Vec<String>,
}

/// One capture.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct CaptureReport {
    /// Its number in the process, from 1.
    pub number: usize,
    /// Where it begins.
    pub place: String,
    /// Its mode: `global`, `thread-local` or `relaxed`.
    pub mode: String,
    /// The stream that it began on.
    pub stream: String,
    /// Every stream that took part.
    pub streams: usize,
    /// The thread that began it, and those that worked in it.
    pub threads: Vec<String>,
    /// Time from its begin to its end, in nanoseconds; none if it did not end.
    pub nanoseconds: Option<u64>,
    /// How it ended, in words.
    pub end: String,
    /// Whether it gave a graph.
    pub succeeded: bool,
    /// The range that the program had marked around it, outermost first, with ` / ` between.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub layer: String,
    /// Pieces of work that it captured.
    pub work: u64,
    /// What happened inside that has its price or is missing from the graph.
    pub inside: Vec<BurdenReport>,
    /// What the graph has otherwise than the capture before at this place.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changed: Vec<String>,
}

/// Calls of one kind at one place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BurdenReport {
    /// Which kind.
    pub what: Burden,
    /// The function.
    pub function: String,
    /// Where.
    pub place: String,
    /// How often.
    pub count: u64,
}

/// One graph that was instantiated.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct GraphReport {
    /// `CUgraphExec`, as it was called when it was made.
    pub exec: String,
    /// Where it was instantiated.
    pub place: String,
    /// The number of the capture that gave it, if one did.
    pub capture: Option<usize>,
    /// Launches.
    pub launches: u64,
    /// Whether it was destroyed.
    pub destroyed: bool,
    /// Its nodes, by what they do: `kernel add_f32` and how many.
    pub kinds: Vec<NodeKindReport>,
    /// Its nodes, in order; the first ones where there are many.
    pub nodes: Vec<NodeReport>,
    /// All nodes.
    pub node_count: usize,
    /// Addresses of known memory that it holds.
    pub pointers: usize,
    /// Bytes of known memory that it points at, each allocation once.
    pub held_bytes: u64,
    /// What could not be read back.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub missing: String,
}

/// Nodes that do the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NodeKindReport {
    /// What they do.
    pub what: String,
    /// How many there are.
    pub count: usize,
}

/// One node.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct NodeReport {
    /// What it does, in one line.
    pub headline: String,
    /// The line that made it, where known.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub place: String,
    /// The range that the program had marked around it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub layer: String,
    /// The addresses that it holds.
    pub pointers: Vec<PointerReport>,
}

/// An address that a node holds.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct PointerReport {
    /// Where the node holds it: `parameter 0 at byte 8`.
    pub place: String,
    /// The address.
    pub address: String,
    /// The memory that it lies in.
    pub memory: String,
    /// Who made that memory.
    pub made: String,
}

/// A graph that was replayed several times, and what the host did between.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct LoopReport {
    /// `CUgraphExec`.
    pub exec: String,
    /// Where it was launched.
    pub place: String,
    /// Launches.
    pub launches: u64,
    /// What came between two launches, by kind and place; the count is that of gaps with it.
    pub between: Vec<BurdenReport>,
}

/// Device memory of a process.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct MemoryReport {
    /// Most bytes of device memory at a time.
    pub high_water: u64,
    /// Bytes that were live at the end, by kind.
    pub live: Vec<LiveReport>,
    /// Bytes that each pool held at the end.
    pub pools: Vec<PoolReport>,
}

/// Live memory of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LiveReport {
    /// Which kind.
    pub kind: Kind,
    /// Allocations.
    pub allocations: usize,
    /// Bytes.
    pub bytes: u64,
}

/// Live memory of one pool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PoolReport {
    /// `CUmemoryPool`; 0x0 for the device's default one.
    pub pool: String,
    /// Bytes.
    pub bytes: u64,
}

/// Objects of one kind and place that were alive at the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AliveReport {
    /// What they are: `executable graphs`.
    pub what: String,
    /// Where they were made.
    pub place: String,
    /// How many.
    pub count: u64,
}

/// A call to which the driver answered what the capture model does not expect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Disagreement {
    /// The call, with its arguments.
    pub call: String,
    /// What the model expects.
    pub model: String,
    /// What the driver did.
    pub driver: String,
    /// The driver's version.
    pub driver_version: u32,
    /// The mode of the capture that is concerned, if one is.
    pub mode: String,
    /// Where.
    pub place: String,
}

impl Report {
    /// The document of these processes.
    pub fn of(processes: Vec<ProcessReport>, not_seen: Vec<String>) -> Self {
        let errors = |process: &ProcessReport| process.findings.iter().any(|found| found.severity == Severity::Error);
        let (verdict, code) = if processes.iter().all(|process| process.calls == 0) {
            (Verdict::NoRecord, ExitCode::NoRecord)
        } else if processes.iter().any(errors) {
            (Verdict::Findings, ExitCode::Findings)
        } else {
            (Verdict::Clean, ExitCode::Passed)
        };
        let graphproof = env!("CARGO_PKG_VERSION").to_owned();
        Report { format: FORMAT, graphproof, verdict, exit_code: code.code(), processes, not_seen }
    }

    /// Every finding, with its process.
    pub fn findings(&self) -> impl Iterator<Item = (&ProcessReport, &Finding)> {
        self.processes.iter().flat_map(|process| process.findings.iter().map(move |finding| (process, finding)))
    }
}

impl ProcessReport {
    /// `process 4711 (python train.py)`.
    pub fn name(&self) -> String {
        format!("process {} ({})", self.pid, self.command.join(" "))
    }
}
