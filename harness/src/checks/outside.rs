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
    let declared = |set: &BufferSet| {
        let whole = |index: usize| (set.memory(index).address(), set.memory(index).len() as u64);
        Spans::of((0..set.specs().len()).map(whole))
    };
    let graph = Spans::of(topology.nodes.iter().filter_map(|node| node.kind.allocates()));
    let outside = replay.written_by(exec).without(&declared(own)).without(&graph);
    let used = eager.kept.with(&eager.read);
    let harmed = outside.common(&used).without(&eager.written);
    let first = harmed.first()?;
    let place = match others.locate(first.0) {
        Some(_) => format!("{}, which the eager runs use", named(first, harmed.bytes(), others)),
        None => named(first, harmed.bytes(), own),
    };
    let finding = Finding::new(Id::A13, CHECK).at_step(step);
    let (finding, writer) = match replay.writer_of(exec, first.0) {
        Some((index, what)) => match topology.nodes.get(index) {
            Some(node) => (finding.at(node.site.clone()), format!("node {index} ({})", headline(&node.kind))),
            None => (finding, what),
        },
        None => (finding, "the graph".to_owned()),
    };
    let fresh = if eager.kept.common(&harmed).is_empty() { "read" } else { "filled before the step, and kept" };
    Some(finding.contrast(
        "a replay writes what eager execution writes, the step's buffers and memory of its own",
        format!("{writer} writes {place}; eagerly they are {fresh}, and not written"),
    ))
}
