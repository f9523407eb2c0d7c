//! Memory outside the step: what a replay writes that eager execution uses and leaves alone.

use super::unordered::named;
use crate::buffers::BufferSet;
use crate::finding::{Check, Finding, Id};
use crate::observed::Seen;
use crate::spans::Spans;
use crate::topology::{Topology, headline};

const CHECK: Check = Check::MemoryOutside;

/// What the eager side does with memory.
#[derive(Debug, Default)]
pub struct Eager {
    /// Written by the host's work before an earlier step, and still good: it was not written again.
    pub kept: Spans,
    /// Read by the host's work or by the step.
    pub read: Spans,
    /// Written by the step.
    pub written: Spans,
}

/// The finding for a replay of `exec`, whose graph is `topology`, that writes what the eager side uses but
/// does not write.
pub fn check(
    replay: &Seen,
    exec: u64,
    eager: &Eager,
    topology: &Topology,
    (own, others): (&BufferSet, &BufferSet),
    step: u64,
) -> Option<Finding> {
    let graph = Spans::of(topology.nodes.iter().filter_map(|node| node.kind.allocates()));
    let outside = replay.written_by(exec).without(&declared(own)).without(&graph);
    let used = eager.kept.with(&eager.read);
    let harmed = outside.common(&used).without(&eager.written);
    let first = harmed.first()?;
    let writer = match replay.writer_of(exec, first.0) {
        Some((index, what)) if index >= topology.nodes.len() => Writer::Told(what),
        Some((index, _)) => Writer::Node(index),
        None => Writer::Graph,
    };
    let fresh = if eager.kept.common(&harmed).is_empty() { READ } else { KEPT };
    Some(finding((first, harmed.bytes()), fresh, &writer, topology, (own, others), step))
}

/// How the eager side uses memory.
pub const READ: &str = "read";
/// As above.
pub const KEPT: &str = "filled before the step, and kept";

/// Who writes outside the step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Writer {
    /// A node.
    Node(usize),
    /// Work of that name.
    Told(String),
    /// The graph: which node is not known.
    Graph,
}

/// The addresses of a step's buffers.
pub fn declared(set: &BufferSet) -> Spans {
    let whole = |index: usize| (set.memory(index).address(), set.memory(index).len() as u64);
    Spans::of((0..set.specs().len()).map(whole))
}

/// The finding for a replay that writes the `bytes` of which `first` is the first range, and which the eager side uses
/// in the way of `fresh`.
pub fn finding(
    (first, bytes): ((u64, u64), u64),
    fresh: &str,
    writer: &Writer,
    topology: &Topology,
    (own, others): (&BufferSet, &BufferSet),
    step: u64,
) -> Finding {
    let place = match others.locate(first.0) {
        Some(_) => format!("{}, which the eager runs use", named(first, bytes, others)),
        None => named(first, bytes, own),
    };
    let finding = Finding::new(Id::A13, CHECK).at_step(step);
    let (finding, writer) = match writer {
        Writer::Node(index) => {
            let node = &topology.nodes[*index];
            (finding.at(node.site.clone()), format!("node {index} ({})", headline(&node.kind)))
        }
        Writer::Told(what) => (finding, what.clone()),
        Writer::Graph => (finding, "the graph".to_owned()),
    };
    finding.contrast(
        "a replay writes what eager execution writes, the step's buffers and memory of its own",
        format!("{writer} writes {place}; eagerly they are {fresh}, and not written"),
    )
}
