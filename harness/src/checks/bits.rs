//! Bitwise agreement: eager against eager first, then eager against replay.

use crate::compare::{Difference, coordinates, element_text};
use crate::finding::{Check, Finding, Id};
use crate::step::BufferSpec;

pub(crate) const CHECK: Check = Check::Bits;

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pair {
    /// Two eager runs on the same inputs: the control.
    EagerEager,
    /// The eager reference and a replay.
    EagerReplay,
    /// The first replay, and the same inputs again after others.
    ReplayReplay,
}

/// Where two images come from.
pub struct Evidence {
    /// Which runs.
    pub pair: Pair,
    /// Step index.
    pub step: u64,
    /// What outputs were filled with before each of the two runs.
    pub poison: [u8; 2],
    /// What stands around the buffers of each of the two runs, where the driver does not check bounds.
    pub guard: Option<[u8; 2]>,
}

/// The finding for images of `buffer` that disagree.
pub fn finding(spec: &BufferSpec, difference: &Difference, evidence: &Evidence) -> Finding {
    let both_are = |[left, right]: [u8; 2]| {
        difference.left.iter().all(|&byte| byte == left)
            && difference.right.iter().all(|&byte| byte == right)
            && left != right
    };
    let unwritten = both_are(evidence.poison);
    let id = match (unwritten, evidence.pair) {
        (true, _) => Id::R02,
        (false, Pair::EagerEager) => Id::V07,
        (false, Pair::EagerReplay) => Id::R01,
        (false, Pair::ReplayReplay) => Id::R03,
    };
    let place = format!("{} '{}'{}", spec.role, spec.name, coordinates(&spec.shape, difference.index));
    let (left, right) = (element_text(spec.dtype, &difference.left), element_text(spec.dtype, &difference.right));
    let (first, second) = match evidence.pair {
        Pair::EagerEager => ("first eager run", "second eager run"),
        Pair::EagerReplay => ("eager", "replay"),
        Pair::ReplayReplay => ("first replay of these inputs", "replay after others"),
    };
    let mut finding = Finding::new(id, CHECK)
        .at_step(evidence.step)
        .contrast(format!("{first}: {place} = {left}"), format!("{second}: {place} = {right}"))
        .note(format!("{} of {} elements of '{}' differ", difference.count, difference.compared, spec.name));
    if unwritten {
        finding = finding.note("both values are the poison that the harness wrote before the run");
    }
    if evidence.guard.is_some_and(both_are) {
        finding = finding.note("both values are what the harness put around the buffers: the step reads beside one");
    }
    finding
}
