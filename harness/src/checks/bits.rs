//! Bitwise agreement: eager against eager first, then eager against replay.

use crate::buffers::BufferSet;
use crate::compare::{Difference, compare, coordinates, element_text};
use crate::cuda::PinnedMemory;
use crate::finding::Finding;
use crate::step::{BufferSpec, Valid};
use crate::topology::Topology;

const CHECK: &str = "bits";

/// The images of the compared buffers after one run, in the order of their declaration.
#[derive(Debug)]
pub struct Images {
    /// Buffer index and image.
    pub buffers: Vec<(usize, PinnedMemory)>,
    /// What outputs were filled with before the run.
    pub poison: u8,
}

impl Images {
    fn of(&self, buffer: usize) -> Option<&[u8]> {
        image_of(&self.buffers, buffer)
    }
}

fn image_of(images: &[(usize, PinnedMemory)], buffer: usize) -> Option<&[u8]> {
    images.iter().find(|(index, _)| *index == buffer).map(|(_, image)| image.bytes())
}

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

/// Where the images come from.
pub struct Evidence<'a> {
    /// Which runs.
    pub pair: Pair,
    /// Step index.
    pub step: u64,
    /// The eager reference.
    pub reference: &'a Images,
    /// The other run.
    pub other: &'a Images,
    /// Input images, for row lengths.
    pub inputs: &'a [(usize, PinnedMemory)],
    /// The step's buffers.
    pub buffers: &'a BufferSet,
    /// The graph, once there is one.
    pub topology: Option<&'a Topology>,
}

/// One finding for each buffer whose images disagree, with the buffer's index.
pub fn check(evidence: &Evidence<'_>) -> Vec<(usize, Finding)> {
    let mut findings = Vec::new();
    for (buffer, left) in &evidence.reference.buffers {
        let spec = &evidence.buffers.specs()[*buffer];
        let Some(right) = evidence.other.of(*buffer) else { continue };
        let lengths = row_lengths(spec, evidence);
        if let Some(difference) = compare(spec, left.bytes(), right, lengths.as_deref()) {
            findings.push((*buffer, finding(*buffer, spec, &difference, evidence)));
        }
    }
    findings
}

fn row_lengths(spec: &BufferSpec, evidence: &Evidence<'_>) -> Option<Vec<i32>> {
    let Valid::RowPrefix { lengths } = &spec.contract.valid else { return None };
    let index = evidence.buffers.index(lengths).ok()?;
    let bytes = evidence.reference.of(index).or_else(|| image_of(evidence.inputs, index))?;
    Some(bytes.chunks_exact(4).map(|b| i32::from_ne_bytes(b.try_into().expect("chunks of four"))).collect())
}

fn finding(buffer: usize, spec: &BufferSpec, difference: &Difference, evidence: &Evidence<'_>) -> Finding {
    let unwritten = difference.left.iter().all(|&byte| byte == evidence.reference.poison)
        && difference.right.iter().all(|&byte| byte == evidence.other.poison)
        && evidence.reference.poison != evidence.other.poison;
    let id = match (unwritten, evidence.pair) {
        (true, _) => "R02",
        (false, Pair::EagerEager) => "V07",
        (false, Pair::EagerReplay) => "R01",
        (false, Pair::ReplayReplay) => "R03",
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
    if let Some((index, node)) = evidence.topology.and_then(|topology| topology.last_user_of(buffer)) {
        finding = finding.at(node.site.clone()).note(format!(
            "'{}' is last used by node {index}: {}",
            spec.name,
            crate::topology::headline(&node.kind)
        ));
    }
    finding
}
