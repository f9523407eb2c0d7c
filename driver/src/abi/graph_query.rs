//! Reading a graph's nodes and edges.

use std::ffi::{c_uint, c_ulonglong};

use super::args::{not_null, read, write};
use super::graph_types::CUgraphEdgeData;
use super::types::{CUgraph, CUgraphNode};
use super::{CUresult, Cuda};
use crate::software::driver;
use crate::software::graph::{EdgeData, EdgeRecord};

/// The convention of all lists: without an array only the count is returned; otherwise up to
/// `*count` entries are filled, the rest of the array becomes null, and `*count` becomes what there
/// was to return.
///
/// # Safety
/// `count` is valid for reads and writes, and each array, if not null, for writes of `*count`
/// elements.
unsafe fn fill(items: &[u64], array: *mut CUgraphNode, room: usize) {
    if array.is_null() {
        return;
    }
    for place in 0..room {
        let item = items.get(place).copied().unwrap_or(0);
        // SAFETY: within the caller's array.
        unsafe { array.add(place).write_unaligned(CUgraphNode(item)) };
    }
}

/// # Safety
/// As [`fill`].
unsafe fn list(items: &[u64], array: *mut CUgraphNode, count: *mut usize) -> Cuda {
    // SAFETY: the caller's pointers, here and below.
    let room = unsafe { read(count) }?;
    if array.is_null() {
        // SAFETY: as above.
        return unsafe { write(count, items.len()) };
    }
    // SAFETY: as above.
    unsafe { fill(items, array, room) };
    // SAFETY: as above.
    unsafe { write(count, items.len().min(room)) }
}

/// Where the edges go: the ends that were asked for, and their annotations.
struct EdgeOutputs {
    from: Option<*mut CUgraphNode>,
    to: Option<*mut CUgraphNode>,
    data: *mut CUgraphEdgeData,
    count: *mut usize,
}

/// # Safety
/// As [`fill`].
unsafe fn edges(records: &[EdgeRecord], out: EdgeOutputs) -> Cuda {
    // SAFETY: the caller's pointers, here and below.
    let room = unsafe { read(out.count) }?;
    let arrays = [out.from, out.to].into_iter().flatten();
    let missing = arrays.clone().filter(|array| array.is_null()).count();
    let all_missing = missing == arrays.clone().count();
    // D: one end without the other, or annotations without the ends, cannot be asked for.
    if (missing > 0 && !all_missing) || (all_missing && !out.data.is_null()) {
        return Err(CUresult::INVALID_VALUE);
    }
    if all_missing {
        // SAFETY: as above.
        return unsafe { write(out.count, records.len()) };
    }
    if out.data.is_null() && records.iter().any(|&(_, _, data)| data != EdgeData::FULL) {
        return Err(CUresult::LOSSY_QUERY);
    }
    let froms: Vec<u64> = records.iter().map(|&(from, _, _)| from).collect();
    let tos: Vec<u64> = records.iter().map(|&(_, to, _)| to).collect();
    // SAFETY: as above.
    unsafe {
        fill(&froms, out.from.unwrap_or_default_null(), room);
        fill(&tos, out.to.unwrap_or_default_null(), room);
    }
    if !out.data.is_null() {
        for (place, &(_, _, data)) in records.iter().take(room).enumerate() {
            // SAFETY: within the caller's array.
            unsafe { out.data.add(place).write_unaligned(data) };
        }
    }
    // SAFETY: as above.
    unsafe { write(out.count, records.len().min(room)) }
}

trait OrNull<T> {
    fn unwrap_or_default_null(self) -> *mut T;
}

impl<T> OrNull<T> for Option<*mut T> {
    fn unwrap_or_default_null(self) -> *mut T {
        self.unwrap_or(std::ptr::null_mut())
    }
}

entry_points! {
    fn cuGraphGetNodes(hGraph: CUgraph, nodes: *mut CUgraphNode, numNodes: *mut usize) {
        not_null(numNodes)?;
        let found: Vec<u64> = driver().world().graphs.nodes(hGraph.0)?.map(|(node, _)| node).collect();
        // SAFETY: the caller's pointers.
        unsafe { list(&found, nodes, numNodes) }
    }

    fn cuGraphGetRootNodes(hGraph: CUgraph, rootNodes: *mut CUgraphNode, numRootNodes: *mut usize) {
        not_null(numRootNodes)?;
        let found = driver().world().graphs.root_nodes(hGraph.0)?;
        // SAFETY: the caller's pointers.
        unsafe { list(&found, rootNodes, numRootNodes) }
    }

    fn cuGraphGetEdges(hGraph: CUgraph, from: *mut CUgraphNode, to: *mut CUgraphNode, numEdges: *mut usize) {
        let found = driver().world().graphs.edges(hGraph.0)?;
        let out = EdgeOutputs { from: Some(from), to: Some(to), data: std::ptr::null_mut(), count: numEdges };
        // SAFETY: the caller's pointers.
        unsafe { edges(&found, out) }
    }

    fn cuGraphGetEdges_v2(
        hGraph: CUgraph,
        from: *mut CUgraphNode,
        to: *mut CUgraphNode,
        edgeData: *mut CUgraphEdgeData,
        numEdges: *mut usize,
    ) {
        let found = driver().world().graphs.edges(hGraph.0)?;
        let out = EdgeOutputs { from: Some(from), to: Some(to), data: edgeData, count: numEdges };
        // SAFETY: the caller's pointers.
        unsafe { edges(&found, out) }
    }

    fn cuGraphNodeGetDependencies(hNode: CUgraphNode, dependencies: *mut CUgraphNode, numDependencies: *mut usize) {
        let found = driver().world().graphs.dependencies(hNode.0)?;
        let out = EdgeOutputs { from: Some(dependencies), to: None, data: std::ptr::null_mut(), count: numDependencies };
        // SAFETY: the caller's pointers.
        unsafe { edges(&found, out) }
    }

    fn cuGraphNodeGetDependencies_v2(
        hNode: CUgraphNode,
        dependencies: *mut CUgraphNode,
        edgeData: *mut CUgraphEdgeData,
        numDependencies: *mut usize,
    ) {
        let found = driver().world().graphs.dependencies(hNode.0)?;
        let out = EdgeOutputs { from: Some(dependencies), to: None, data: edgeData, count: numDependencies };
        // SAFETY: the caller's pointers.
        unsafe { edges(&found, out) }
    }

    fn cuGraphNodeGetDependentNodes(hNode: CUgraphNode, dependentNodes: *mut CUgraphNode, numDependentNodes: *mut usize) {
        let found = driver().world().graphs.dependents(hNode.0)?;
        let out = EdgeOutputs { from: None, to: Some(dependentNodes), data: std::ptr::null_mut(), count: numDependentNodes };
        // SAFETY: the caller's pointers.
        unsafe { edges(&found, out) }
    }

    fn cuGraphNodeGetDependentNodes_v2(
        hNode: CUgraphNode,
        dependentNodes: *mut CUgraphNode,
        edgeData: *mut CUgraphEdgeData,
        numDependentNodes: *mut usize,
    ) {
        let found = driver().world().graphs.dependents(hNode.0)?;
        let out = EdgeOutputs { from: None, to: Some(dependentNodes), data: edgeData, count: numDependentNodes };
        // SAFETY: the caller's pointers.
        unsafe { edges(&found, out) }
    }

    fn cuGraphNodeGetType(hNode: CUgraphNode, r#type: *mut c_uint) {
        not_null(r#type)?;
        let kind = driver().world().graphs.node(hNode.0)?.work().node_type();
        // SAFETY: the caller's pointer.
        unsafe { write(r#type, kind as c_uint) }
    }

    fn cuGraphNodeGetContainingGraph(hNode: CUgraphNode, phGraph: *mut CUgraph) {
        not_null(phGraph)?;
        let graph = driver().world().graphs.node(hNode.0)?.graph();
        // SAFETY: the caller's pointer.
        unsafe { write(phGraph, CUgraph(graph)) }
    }

    fn cuGraphNodeGetLocalId(hNode: CUgraphNode, nodeId: *mut c_uint) {
        not_null(nodeId)?;
        let id = driver().world().graphs.node(hNode.0)?.local_id();
        // SAFETY: the caller's pointer.
        unsafe { write(nodeId, id) }
    }

    fn cuGraphNodeGetToolsId(hNode: CUgraphNode, toolsNodeId: *mut c_ulonglong) {
        not_null(toolsNodeId)?;
        let id = driver().world().graphs.tools_id(hNode.0)?;
        // SAFETY: the caller's pointer.
        unsafe { write(toolsNodeId, id) }
    }
}
