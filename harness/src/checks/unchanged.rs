//! Writes to what should not change: a step's inputs hold after it what they held before.

use crate::buffers::BufferSet;
use crate::finding::{Check, Finding, Id};
use crate::topology::Topology;

const CHECK: Check = Check::Unchanged;

/// One input after a run.
pub struct Input<'a> {
    /// Index of the buffer in the step's declaration.
    pub buffer: usize,
    /// What was copied in before the run.
    pub before: &'a [u8],
    /// What was there after it.
    pub after: &'a [u8],
}

/// The finding for an input that `run` (`eager`, `replay`) changed.
pub fn check(
    input: &Input<'_>,
    run: &str,
    step: u64,
    buffers: &BufferSet,
    topology: Option<&Topology>,
) -> Option<Finding> {
    if input.before == input.after {
        return None;
    }
    let spec = &buffers.specs()[input.buffer];
    let size = spec.dtype.size();
    let differs = |(before, after): (&[u8], &[u8])| before != after;
    let elements = || input.before.chunks(size).zip(input.after.chunks(size));
    let first = elements().position(differs).unwrap_or(0);
    let count = elements().filter(|&pair| differs(pair)).count();
    let finding = Finding::new(Id::V08, CHECK).at_step(step).contrast(
        format!("input '{}' is as it was before the step", spec.name),
        format!("after the {run} run {count} of its elements differ, the first is element {first}"),
    );
    Some(match topology.and_then(|topology| topology.first_user_of(input.buffer)) {
        Some((index, node)) => finding.at(node.site.clone()).note(format!(
            "'{}' is first used by node {index}: {}",
            spec.name,
            crate::topology::headline(&node.kind)
        )),
        None => finding,
    })
}
