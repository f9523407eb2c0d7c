//! Address stability: every pointer in the graph still means what it meant at capture.

use crate::buffers::BufferSet;
use crate::cuda::{Allocation, ParameterWord};
use crate::finding::{Check, Finding, Id};
use crate::framework::Lost;
use crate::topology::{AddressWord, Foreign, Node, Pointer, Topology};

const CHECK: Check = Check::Addresses;

/// Compares every pointer of the graph with the allocations as they are before replay `step`.
pub fn check(topology: &Topology, buffers: &BufferSet, step: u64) -> Vec<Finding> {
    let uses = topology.nodes.iter().enumerate().flat_map(|(i, node)| node.pointers.iter().map(move |p| (i, node, p)));
    let declared = uses.filter_map(|(index, node, pointer)| check_one(index, node, pointer, buffers, step));
    let others = foreigners(topology).filter_map(|(index, node, foreign)| check_foreign(index, node, foreign, step));
    let mut found: Vec<Finding> = declared.chain(others).collect();
    for body in &topology.bodies {
        let within = format!("in body {} of conditional node {}", body.number, body.node);
        found.extend(check(&body.topology, buffers, step).into_iter().map(|finding| finding.note(&within)));
    }
    found
}

/// The words of kernels' parameters that hold what findings of [`check`] and [`taken_back`] are about, with the memory
/// that was there at capture; none where an address stands elsewhere too, as in a copy, or is one of a buffer's.
pub fn words(topology: &Topology, buffers: &BufferSet, lost: &[Lost]) -> Vec<AddressWord> {
    let declared = topology.nodes.iter().any(|node| node.pointers.iter().any(|pointer| is_elsewhere(pointer, buffers)));
    let gone = foreigners(topology).filter(|(.., foreign)| {
        Allocation::of(foreign.address) != Some(foreign.allocation)
            || lost.iter().any(|lost| lost.address == foreign.address)
    });
    let words = gone.map(|(index, node, foreign)| {
        let (parameter, offset) = foreign.parameter?;
        node.address_word(ParameterWord { node: index, parameter, offset }, buffers)
    });
    words.collect::<Option<Vec<_>>>().filter(|_| !declared && topology.bodies.is_empty()).unwrap_or_default()
}

/// Every pointer to memory that the step did not declare, with its node.
fn foreigners(topology: &Topology) -> impl Iterator<Item = (usize, &Node, &Foreign)> {
    topology.nodes.iter().enumerate().flat_map(|(i, node)| node.foreign.iter().map(move |f| (i, node, f)))
}

/// A pointer's place, in words.
fn place(index: usize, node: &Node, within: &str) -> String {
    format!("node {index} ({}), {within}", crate::topology::headline(&node.kind))
}

/// Memory that the step did not declare must be the allocation that it was at capture.
fn check_foreign(index: usize, node: &Node, foreign: &Foreign, step: u64) -> Option<Finding> {
    let now = Allocation::of(foreign.address);
    if now == Some(foreign.allocation) {
        return None;
    }
    let place = place(index, node, &foreign.place);
    let (id, memory) =
        if foreign.allocation.host { (Id::A10, "pinned host memory") } else { (Id::A07, "device memory") };
    let seen = match now {
        Some(_) => format!("{:#x} belongs to another allocation now", foreign.address),
        None => format!("{:#x} is not allocated any more", foreign.address),
    };
    let finding = Finding::new(id, CHECK)
        .at_step(step)
        .at(node.site.clone())
        .contrast(format!("{place}: {:#x}, {memory} that the step has of its own", foreign.address), seen);
    Some(finding)
}

/// Addresses of memory that the step has of its own, which its framework may take back.
pub fn of_framework(topology: &Topology) -> Vec<u64> {
    let own = foreigners(topology).map(|(.., foreign)| foreign).filter(|f| !f.kept && !f.allocation.host);
    let mut addresses: Vec<u64> = own.map(|foreign| foreign.address).collect();
    addresses.sort_unstable();
    addresses.dedup();
    addresses
}

/// The findings for memory that the step's framework has taken back before replay `step`.
pub fn taken_back(topology: &Topology, lost: &[Lost], step: u64) -> Vec<Finding> {
    let found = lost.iter().filter_map(|lost| {
        let (index, node, foreign) = foreigners(topology).find(|(.., foreign)| foreign.address == lost.address)?;
        let place = place(index, node, &foreign.place);
        let finding = Finding::new(Id::A07, CHECK).at_step(step).at(node.site.clone()).began(lost.allocated.clone());
        Some(finding.contrast(
            format!("{place}: {:#x}, memory that the step has of its own", lost.address),
            format!("{:#x} {}", lost.address, lost.what),
        ))
    });
    found.collect()
}

/// Whether an address is not in its buffer any more.
fn is_elsewhere(pointer: &Pointer, buffers: &BufferSet) -> bool {
    buffers.locate(pointer.address).is_none_or(|now| !now.live || now.buffer != pointer.target.buffer)
}

fn check_one(index: usize, node: &Node, pointer: &Pointer, buffers: &BufferSet, step: u64) -> Option<Finding> {
    if !is_elsewhere(pointer, buffers) {
        return None;
    }
    let now = buffers.locate(pointer.address);
    let name = &buffers.specs()[pointer.target.buffer].name;
    let place = place(index, node, &pointer.place);
    let present = buffers.memory(pointer.target.buffer).address();
    let finding = match now {
        Some(now) if now.live => Finding::new(Id::A07, CHECK).contrast(
            format!("{place}: {:#x} in buffer '{name}'", pointer.address),
            format!("{:#x} now belongs to buffer '{}'", pointer.address, buffers.specs()[now.buffer].name),
        ),
        _ => Finding::new(Id::A08, CHECK).contrast(
            format!("{place}: buffer '{name}' at {:#x}", pointer.address),
            format!("buffer '{name}' is at {present:#x}; {:#x} is not allocated", pointer.address),
        ),
    };
    Some(finding.at_step(step).at(node.site.clone()).began(buffers.released_at(pointer.address).cloned()))
}

/// The finding for a guard that was overwritten: byte `offset` from the start of buffer `index`.
pub fn broken_guard(
    (index, offset): (usize, i64),
    buffers: &BufferSet,
    topology: Option<&Topology>,
    step: u64,
) -> Finding {
    let spec = &buffers.specs()[index];
    let place = format!("byte {offset} of {} '{}' of {} bytes", spec.role, spec.name, buffers.memory(index).len());
    let finding = Finding::new(Id::R04, CHECK)
        .at_step(step)
        .contrast("only the buffers are written", format!("{place} was written"));
    match topology.and_then(|topology| topology.last_user_of(index)) {
        Some((number, node)) => finding.at(node.site.clone()).note(format!(
            "'{}' is last used by node {number}: {}",
            spec.name,
            crate::topology::headline(&node.kind)
        )),
        None => finding,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cuda::NodeKind;

    #[test]
    fn a_framework_is_asked_about_what_it_may_take_back() {
        let foreign = |address: u64, own: Option<usize>, kept: bool, host: bool| Foreign {
            place: "parameter 0".to_owned(),
            parameter: Some((0, 0)),
            address,
            allocation: Allocation { id: 1, host },
            extent: None,
            own,
            kept,
        };
        // From before the capture; handed out in it; of a private pool; pinned host memory.
        let all =
            [(1, None, false, false), (2, Some(0), false, false), (3, Some(1), true, false), (4, None, false, true)];
        let foreign = all.map(|(address, own, kept, host)| foreign(address, own, kept, host)).to_vec();
        let node = Node { kind: NodeKind::Other("test".to_owned()), site: None, pointers: Vec::new(), foreign };
        let topology = Topology { nodes: vec![node], ..Topology::default() };
        assert_eq!(of_framework(&topology), [1, 2]);
    }
}
