//! Address stability: every pointer in the graph still means what it meant at capture.

use crate::buffers::BufferSet;
use crate::finding::Finding;
use crate::topology::{Node, Pointer, Topology};

const CHECK: &str = "addresses";

/// Compares every pointer of the graph with the allocations as they are before replay `step`.
pub fn check(topology: &Topology, buffers: &BufferSet, step: u64) -> Vec<Finding> {
    let uses = topology.nodes.iter().enumerate().flat_map(|(i, node)| node.pointers.iter().map(move |p| (i, node, p)));
    uses.filter_map(|(index, node, pointer)| check_one(index, node, pointer, buffers, step)).collect()
}

fn check_one(index: usize, node: &Node, pointer: &Pointer, buffers: &BufferSet, step: u64) -> Option<Finding> {
    let now = buffers.locate(pointer.address);
    if now.as_ref().is_some_and(|now| now.live && now.buffer == pointer.target.buffer) {
        return None;
    }
    let name = &buffers.specs()[pointer.target.buffer].name;
    let place = format!("node {index} ({}), {}", crate::topology::headline(&node.kind), pointer.place);
    let present = buffers.memory(pointer.target.buffer).address();
    let finding = match now {
        Some(now) if now.live => Finding::new("A07", CHECK).contrast(
            format!("{place}: {:#x} in buffer '{name}'", pointer.address),
            format!("{:#x} now belongs to buffer '{}'", pointer.address, buffers.specs()[now.buffer].name),
        ),
        _ => Finding::new("A08", CHECK).contrast(
            format!("{place}: buffer '{name}' at {:#x}", pointer.address),
            format!("buffer '{name}' is at {present:#x}; {:#x} is not allocated", pointer.address),
        ),
    };
    Some(finding.at_step(step).at(node.site.clone()).began(buffers.released_at(pointer.address).cloned()))
}
