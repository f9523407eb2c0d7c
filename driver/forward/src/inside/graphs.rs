//! Reads a graph back when it has been instantiated: afterwards the program may destroy it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

use graphproof_door::{Class, GraphNode, GraphPart, Kind, sys};

use super::record::{MOST, RECORDER};
use super::{node_params, real};

/// Nodes of a graph that are read back.
const MOST_NODES: usize = 200_000;
/// Graphs inside graphs.
const MOST_DEPTH: usize = 8;
/// Edges in one event.
const EDGES: usize = 4096;

static NEXT: AtomicU64 = AtomicU64::new(1);

fn write(part: &GraphPart) {
    RECORDER.with(|writer, cursor| {
        writer.append(cursor, Class::Kept, Kind::Graph, sys::now(), MOST, |out| part.write(out))
    });
}

/// A node of an executable graph has been given other parameters by the function of that name, whose first three
/// arguments are `words`: the driver does not give them back.
pub(super) fn given(function: &str, words: &[u64]) {
    let &[exec, handle, parameters, ..] = words else { return };
    // SAFETY: the call has read what its argument points to, and has not returned to the program yet.
    if let Some(node) = unsafe { node_params::given(function, handle, parameters) } {
        write(&GraphPart::Given(exec, Box::new(node)));
    }
}

/// Reads back the graph that `exec` was made of, or updated from.
pub(super) fn read_back(graph: u64, exec: u64) {
    if graph != 0 {
        read(graph, exec, 0);
    }
}

fn read(graph: u64, exec: u64, depth: usize) {
    let id = NEXT.fetch_add(1, Ordering::Relaxed) << 32 | u64::from(std::process::id());
    write(&GraphPart::Begin { id, graph, exec });
    let missing = match nodes_of(graph) {
        Ok(nodes) => {
            let missing = edges_of(graph, &nodes, id).err().unwrap_or_default();
            for (index, &handle) in (0..).zip(&nodes) {
                let node = node(index, handle);
                let child = node.operands.iter().find(|(what, ..)| what == "graph").map(|(_, graph, _)| *graph);
                write(&GraphPart::Node(id, Box::new(node)));
                if let Some(child) = child.filter(|child| *child != 0 && depth < MOST_DEPTH) {
                    read(child, 0, depth + 1);
                }
            }
            missing
        }
        Err(why) => why,
    };
    write(&GraphPart::End { id, missing });
}

fn nodes_of(graph: u64) -> Result<Vec<u64>, String> {
    let mut count = 0;
    // SAFETY: a graph that was just instantiated; no list asks for the number.
    let result = unsafe { real::cuGraphGetNodes(graph, std::ptr::null_mut(), &raw mut count) };
    if result != Some(0) {
        return Err(format!("cuGraphGetNodes answers {result:?}"));
    }
    if count > MOST_NODES {
        return Err(format!("{count} nodes are more than are read back"));
    }
    if count == 0 {
        // The driver refuses to fill a list of none.
        return Ok(Vec::new());
    }
    let mut nodes = vec![0; count];
    // SAFETY: room for so many.
    let result = unsafe { real::cuGraphGetNodes(graph, nodes.as_mut_ptr(), &raw mut count) };
    nodes.truncate(count);
    if result == Some(0) { Ok(nodes) } else { Err(format!("cuGraphGetNodes answers {result:?}")) }
}

fn edges_of(graph: u64, nodes: &[u64], id: u64) -> Result<(), String> {
    let mut count = 0;
    let null = std::ptr::null_mut();
    // SAFETY: as above.
    let result = unsafe { real::cuGraphGetEdges_v2(graph, null, null, std::ptr::null_mut(), &raw mut count) };
    let with_data = result == Some(0);
    if !with_data {
        // SAFETY: as above.
        let result = unsafe { real::cuGraphGetEdges(graph, null, null, &raw mut count) };
        if result != Some(0) {
            return Err(format!("cuGraphGetEdges answers {result:?}"));
        }
    }
    if count == 0 {
        return Ok(());
    }
    let (mut from, mut to, mut data) = (vec![0; count], vec![0; count], vec![[0; 8]; count]);
    let (sources, targets) = (from.as_mut_ptr(), to.as_mut_ptr());
    // SAFETY: room for so many.
    let result = unsafe {
        if with_data {
            real::cuGraphGetEdges_v2(graph, sources, targets, data.as_mut_ptr(), &raw mut count)
        } else {
            real::cuGraphGetEdges(graph, sources, targets, &raw mut count)
        }
    };
    if result != Some(0) {
        return Err(format!("cuGraphGetEdges answers {result:?}"));
    }
    let index: HashMap<u64, u32> = nodes.iter().copied().zip(0..).collect();
    let pairs = from.iter().zip(&to).take(count);
    let edges: Vec<(u32, u32)> = pairs.filter_map(|(from, to)| Some((*index.get(from)?, *index.get(to)?))).collect();
    for part in edges.chunks(EDGES) {
        write(&GraphPart::Edges(id, part.to_vec()));
    }
    Ok(())
}

/// `CUgraphNodeType`.
pub(super) mod kind {
    pub const KERNEL: u32 = 0;
    pub const MEMCPY: u32 = 1;
    pub const MEMSET: u32 = 2;
    pub const HOST: u32 = 3;
    pub const GRAPH: u32 = 4;
    pub const WAIT_EVENT: u32 = 6;
    pub const EVENT_RECORD: u32 = 7;
    pub const MEM_ALLOC: u32 = 10;
    pub const MEM_FREE: u32 = 11;
}

fn node(index: u32, handle: u64) -> GraphNode {
    let mut node = GraphNode { index, handle, kind: u32::MAX, ..GraphNode::default() };
    // SAFETY: a node of a living graph; each place is as large as what cuda.h says is written there.
    unsafe {
        real::cuGraphNodeGetType(handle, &raw mut node.kind);
        match node.kind {
            kind::KERNEL => {
                let mut words = [0; 16];
                if real::cuGraphKernelNodeGetParams_v2(handle, &raw mut words) == Some(0) {
                    node_params::kernel(&mut node, &words[..node_params::KERNEL]);
                }
            }
            kind::MEMCPY => {
                let mut words = [0; 32];
                if real::cuGraphMemcpyNodeGetParams(handle, &raw mut words) == Some(0) {
                    node_params::copy(&mut node, &words[..node_params::COPY]);
                }
            }
            kind::MEMSET => {
                let mut words = [0; 8];
                if real::cuGraphMemsetNodeGetParams(handle, &raw mut words) == Some(0) {
                    node_params::fill(&mut node, &words[..node_params::FILL]);
                }
            }
            kind::HOST => {
                let mut words = [0; 4];
                if real::cuGraphHostNodeGetParams(handle, &raw mut words) == Some(0) {
                    node.operands.push(("function".to_owned(), words[0], 0));
                    node.operands.push(("data".to_owned(), words[1], 0));
                }
            }
            kind::GRAPH => {
                let mut graph = 0;
                if real::cuGraphChildGraphNodeGetGraph(handle, &raw mut graph) == Some(0) {
                    node.operands.push(("graph".to_owned(), graph, 0));
                }
            }
            kind::WAIT_EVENT | kind::EVENT_RECORD => {
                let mut event = 0;
                let ask = match node.kind {
                    kind::WAIT_EVENT => real::cuGraphEventWaitNodeGetEvent,
                    _ => real::cuGraphEventRecordNodeGetEvent,
                };
                if ask(handle, &raw mut event) == Some(0) {
                    node.operands.push(("event".to_owned(), event, 0));
                }
            }
            kind::MEM_ALLOC => {
                let mut words = [0; 32];
                if real::cuGraphMemAllocNodeGetParams(handle, &raw mut words) == Some(0) {
                    node.operands.push(("address".to_owned(), words[14], words[13]));
                }
            }
            kind::MEM_FREE => {
                let mut address = 0;
                if real::cuGraphMemFreeNodeGetParams(handle, &raw mut address) == Some(0) {
                    node.operands.push(("address".to_owned(), address, 0));
                }
            }
            _ => {}
        }
    }
    node
}
