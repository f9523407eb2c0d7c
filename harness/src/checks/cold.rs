//! A capture without a run before: what the first call of a step does that later ones do not.

use super::calls::at_stack;
use crate::calls::Calls;
use crate::finding::{Check, Finding, Id, Severity};
use crate::topology::{Topology, headline};

const CHECK: Check = Check::Cold;

/// What a first call does beside enqueuing, by the calls that do it.
const FIRST: &[(&str, &[&str])] = &[
    ("allocates device memory", &["cuMemAlloc_v2", "cuMemAllocPitch", "cuMemAllocManaged", "cuMemCreate"]),
    ("allocates host memory", &["cuMemHostAlloc", "cuMemAllocHost", "cuMemHostRegister"]),
    ("loads code", &["cuModuleLoad", "cuLibraryLoad"]),
    ("waits", &["cuEventSynchronize", "cuStreamSynchronize", "cuCtxSynchronize"]),
    ("copies at once", &["cuMemcpyHtoD_v2", "cuMemcpyDtoH_v2", "cuMemcpyDtoD_v2", "cuMemcpy_v2"]),
];

/// The finding for a cold capture that fails, as a warm one's finding tells it.
pub fn refused(failed: Finding) -> Finding {
    let cause = format!("{}: {}", failed.id, failed.title);
    let found = Finding::new(Id::S16, CHECK)
        .at(failed.site)
        .began(failed.origin)
        .contrast("the step is captured without a run before", failed.seen)
        .note(format!("as {cause}"));
    failed.notes.into_iter().fold(found, Finding::note)
}

/// What the first capture did and the second did not.
pub fn only_first(
    (first, calls): (&Topology, Option<&Calls>),
    (second, later): (&Topology, Option<&Calls>),
) -> Vec<Finding> {
    let mut found = Vec::new();
    if first.nodes.len() != second.nodes.len() {
        let differs = first.nodes.iter().zip(&second.nodes).position(|(a, b)| headline(&a.kind) != headline(&b.kind));
        let at = differs.unwrap_or(first.nodes.len().min(second.nodes.len()));
        let longer = if first.nodes.len() > second.nodes.len() { first } else { second };
        found.push(
            Finding::new(Id::S16, CHECK)
                .at(longer.nodes.get(at).and_then(|node| node.site.clone()))
                .contrast(
                    "the first capture of the step has the nodes of later ones",
                    format!("{} nodes in the first capture, {} in the second", first.nodes.len(), second.nodes.len()),
                )
                .note("what the first call tries out is part of the graph that is replayed"),
        );
    }
    let (Some(calls), Some(later)) = (calls, later) else { return found };
    for (does, names) in FIRST {
        let more = calls.count(names).saturating_sub(later.count(names));
        let Some(call) = calls.first_of(names).filter(|_| more > 0) else { continue };
        let finding = Finding { severity: Severity::Warning, ..Finding::new(Id::S16, CHECK) };
        found.push(at_stack(finding, &call.stack).contrast(
            "the first capture of the step does what later ones do",
            format!("it {does} where later ones do not: {more} times, first {}", call.function),
        ));
    }
    found
}
