//! Several replays in flight: whose results are another step's.

use crate::compare::{Difference, coordinates, element_text};
use crate::cuda::{CopyEnd, NodeKind, is_pinned};
use crate::digest;
use crate::finding::{Check, Finding, Id, Site};
use crate::step::BufferSpec;
use crate::topology::{Topology, headline};

const CHECK: Check = Check::Pipelined;

/// Bytes looked at of memory whose length is not known: no more than the page has.
const PAGE: u64 = 4096;

/// Pinned host memory that a node reads, and the digest of what was there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The node.
    pub node: usize,
    /// Where it begins.
    pub address: u64,
    digest: u64,
}

/// The pinned host memory that the graph reads, as it is now.
pub fn sources(topology: &Topology) -> Vec<Source> {
    let mut sources = Vec::new();
    for (node, found) in topology.nodes.iter().enumerate() {
        if let NodeKind::Memcpy { source: CopyEnd::Host(address), bytes, .. } = found.kind {
            sources.extend(source(node, address, bytes as u64));
        }
        for foreign in found.foreign.iter().filter(|foreign| foreign.allocation.host && foreign.parameter.is_some()) {
            sources.extend(source(node, foreign.address, PAGE - foreign.address % PAGE));
        }
    }
    sources
}

fn source(node: usize, address: u64, bytes: u64) -> Option<Source> {
    if !is_pinned(address) {
        return None;
    }
    // SAFETY: the driver knows the address as pinned host memory; a copy node of the graph reads all of
    // `bytes` there, and otherwise no page is left, which pinned memory has whole.
    let bytes =
        unsafe { std::slice::from_raw_parts(std::ptr::with_exposed_provenance(address as usize), bytes as usize) };
    Some(Source { node, address, digest: digest::of_bytes(bytes) })
}

/// The first memory that replay `at` of those in flight reads and that the host rewrote for a later one.
pub fn rewritten(sources: &[Vec<Source>], at: usize) -> Option<&Source> {
    let own = sources.get(at)?;
    own.iter().find(|source| {
        let later = sources[at + 1..].iter().flatten();
        later.into_iter().any(|later| (later.node, later.address) == (source.node, source.address) && later != *source)
    })
}

/// The finding for a result of replay `step` that differs; it is that of step `whose`, if of any.
pub fn finding(
    spec: &BufferSpec,
    difference: &Difference,
    step: u64,
    whose: Option<u64>,
    rewritten: Option<&Source>,
    topology: &Topology,
    host: Option<Site>,
) -> Finding {
    let text = |bytes: &[u8]| element_text(spec.dtype, bytes);
    let place = format!("{} '{}'{}", spec.role, spec.name, coordinates(&spec.shape, difference.index));
    let (eager, replay) = (text(&difference.left), text(&difference.right));
    let finding = Finding::new(Id::L03, CHECK)
        .at_step(step)
        .contrast(format!("eager: {place} = {eager}"), format!("several replays in flight: {place} = {replay}"));
    let finding = match rewritten {
        Some(source) => {
            let node = &topology.nodes[source.node];
            finding.at(node.site.clone()).began(host).note(format!(
                "node {} ({}) reads pinned host memory at {:#x}, which the host rewrote for a later step before this \
                 replay had read it",
                source.node,
                headline(&node.kind),
                source.address
            ))
        }
        None => finding.at(host).note("what the host does for the next step reaches a replay that has not run yet"),
    };
    match whose.filter(|&whose| whose != step) {
        Some(whose) => finding.note(format!("it is the value of step {whose}")),
        None => finding,
    }
}
