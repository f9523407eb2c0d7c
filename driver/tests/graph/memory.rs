//! Graph memory without a device: capture-semantics 1.6.

use graphproof_driver::abi::{CUresult, Cuda};
use graphproof_driver::software::graph::{
    AUTO_FREE_ON_LAUNCH, EdgeData, Graphs, MemAttribute, NodeInfo, Ownership, UpdateResult,
};
use graphproof_driver::software::work::NodeParams;

const INVALID: CUresult = CUresult::INVALID_VALUE;
/// What a small graph uses, in bytes.
const BACKED: u64 = 32 << 20;
const FULL: EdgeData = EdgeData::FULL;

fn try_add(graphs: &mut Graphs, graph: u64, after: &[u64], work: NodeParams) -> Cuda<u64> {
    let after: Vec<_> = after.iter().map(|&node| (node, FULL)).collect();
    graphs.add_node(graph, &after, work, NodeInfo::default())
}

fn add(graphs: &mut Graphs, graph: u64, after: &[u64], work: NodeParams) -> u64 {
    try_add(graphs, graph, after, work).expect("a valid node")
}

fn alloc(address: u64) -> NodeParams {
    NodeParams::MemAlloc { address, size: 100, pool: 0, device: 0 }
}

fn free(address: u64) -> NodeParams {
    NodeParams::MemFree { address }
}

/// 1.6: one instance, no clone, no removal, child only by a move.
#[test]
fn graphs_with_memory_nodes_are_restricted() {
    let mut graphs = Graphs::default();
    let graph = graphs.create();
    let node = add(&mut graphs, graph, &[], alloc(0x100));
    let last = add(&mut graphs, graph, &[node], free(0x100));
    const REFUSED: CUresult = CUresult::NOT_SUPPORTED;
    assert_eq!(graphs.clone_graph(graph), Err(REFUSED));
    assert_eq!(graphs.destroy_node(node), Err(REFUSED));
    assert_eq!(graphs.remove_dependencies(graph, &[(node, last, FULL)]), Err(REFUSED));
    let parent = graphs.create();
    let info = NodeInfo::default;
    assert_eq!(graphs.add_child_graph(parent, &[], graph, Ownership::Clone, info()), Err(REFUSED));
    let exec = graphs.instantiate(graph, 0).unwrap();
    assert!(graphs.instantiate(graph, 0).is_err());
    assert_eq!(graphs.add_child_graph(parent, &[], graph, Ownership::Move, info()), Err(INVALID), "instantiated");
    graphs.destroy_exec(exec).unwrap();
    assert!(graphs.add_child_graph(parent, &[], graph, Ownership::Move, info()).is_ok());
    assert!(graphs.instantiate(parent, 0).is_ok());
    assert_eq!(graphs.set_params(node, alloc(0x200), info()), Err(CUresult::NOT_SUPPORTED));
}

/// 1.6: frees in a graph.
#[test]
fn free_nodes_need_a_graph_allocation_once() {
    let mut graphs = Graphs::default();
    let (graph, other) = (graphs.create(), graphs.create());
    assert_eq!(try_add(&mut graphs, graph, &[], free(0x100)), Err(INVALID), "no graph allocation");
    add(&mut graphs, graph, &[], alloc(0x100));
    add(&mut graphs, graph, &[], free(0x100));
    assert_eq!(try_add(&mut graphs, graph, &[], free(0x100)), Err(INVALID), "freed twice");
    assert_eq!(try_add(&mut graphs, other, &[], free(0x100)), Err(INVALID), "the owner frees it");
    add(&mut graphs, graph, &[], alloc(0x200));
    add(&mut graphs, other, &[], free(0x200));
    assert_eq!(try_add(&mut graphs, graph, &[], free(0x200)), Err(INVALID), "another graph frees it");
    assert_eq!(try_add(&mut graphs, graph, &[], free(0x208)), Err(INVALID), "not its first byte");
}

/// 1.6: a launch with allocations that are still live.
#[test]
fn a_relaunch_needs_its_allocations_freed() {
    let mut graphs = Graphs::default();
    let graph = graphs.create();
    add(&mut graphs, graph, &[], alloc(0x100));
    let exec = graphs.instantiate(graph, 0).unwrap();
    assert_eq!(graphs.memory().free(0x100), Some(Err(INVALID)), "never launched (M CUDA.jl#1230)");
    assert!(graphs.launch(exec).is_ok());
    assert_eq!(graphs.launch(exec).err(), Some(INVALID));
    assert_eq!(graphs.memory().free(0x100), Some(Ok(())));
    assert_eq!(graphs.memory().free(0x100), Some(Err(INVALID)), "freed twice");
    assert!(graphs.launch(exec).is_ok());
    graphs.memory().free(0x100).unwrap().unwrap();
    graphs.destroy_exec(exec).unwrap();
    let exec = graphs.instantiate(graph, AUTO_FREE_ON_LAUNCH).unwrap();
    assert_eq!(graphs.launch(exec).unwrap().free_first, []);
    assert_eq!(graphs.launch(exec).unwrap().free_first, [0x100]);
    assert_eq!(graphs.memory().free(0x999), None, "not graph memory");
}

/// 1.6: a graph that frees what another one allocated.
#[test]
fn another_graph_may_free_a_live_allocation() {
    let mut graphs = Graphs::default();
    let (graph, other) = (graphs.create(), graphs.create());
    add(&mut graphs, graph, &[], alloc(0x100));
    add(&mut graphs, other, &[], free(0x100));
    let (exec, freeing) = (graphs.instantiate(graph, 0).unwrap(), graphs.instantiate(other, 0).unwrap());
    assert_eq!(graphs.launch(freeing).err(), Some(INVALID), "nothing to free yet");
    for _ in 0..3 {
        assert!(graphs.launch(exec).is_ok());
        assert!(graphs.launch(freeing).is_ok());
    }
}

/// 1.6: live allocations outlast graph and instance, M rocm-systems#7092; then the address is
/// released.
#[test]
fn a_live_allocation_outlasts_its_graph() {
    let mut graphs = Graphs::default();
    let graph = graphs.create();
    add(&mut graphs, graph, &[], alloc(0x100));
    let exec = graphs.instantiate(graph, 0).unwrap();
    drop(graphs.launch(exec).unwrap());
    graphs.destroy(graph).unwrap();
    graphs.destroy_exec(exec).unwrap();
    assert_eq!(graphs.take_released(), []);
    assert_eq!(graphs.memory().attribute(0, MemAttribute::UsedCurrent), BACKED);
    assert_eq!(graphs.memory().free(0x100), Some(Ok(())));
    assert_eq!(graphs.take_released(), [0x100]);
    let unused = graphs.create();
    add(&mut graphs, unused, &[], alloc(0x200));
    graphs.destroy(unused).unwrap();
    assert_eq!(graphs.take_released(), [0x200]);
}

/// 1.6: the attributes, and what may be reset.
#[test]
fn graph_memory_attributes() {
    use MemAttribute::{ReservedCurrent, ReservedHigh, UsedCurrent, UsedHigh};
    let mut graphs = Graphs::default();
    let graph = graphs.create();
    let node = add(&mut graphs, graph, &[], alloc(0x100));
    add(&mut graphs, graph, &[node], free(0x100));
    let exec = graphs.instantiate(graph, 0).unwrap();
    drop(graphs.launch(exec).unwrap());
    let memory = graphs.memory();
    // Measured: the memory stays with the executable graph, in units of 32 MiB.
    for attribute in [UsedCurrent, UsedHigh, ReservedCurrent, ReservedHigh] {
        assert_eq!(memory.attribute(0, attribute), BACKED);
    }
    // Measured (memory/attributes_after_free): what the graph has freed can be trimmed while it lives.
    memory.trim(0);
    assert_eq!((memory.attribute(0, UsedCurrent), memory.attribute(0, ReservedCurrent)), (0, 0));
    graphs.destroy_exec(exec).unwrap();
    let memory = graphs.memory();
    assert_eq!((memory.attribute(0, UsedCurrent), memory.attribute(0, ReservedCurrent)), (0, 0));
    for attribute in [UsedCurrent, ReservedCurrent] {
        assert_eq!(memory.reset(0, attribute, 0), Err(INVALID));
    }
    assert_eq!(memory.reset(0, UsedHigh, 1), Err(INVALID), "only to zero");
    assert_eq!(memory.reset(0, UsedHigh, 0), Ok(()));
    assert_eq!(memory.reset(0, ReservedHigh, 0), Ok(()));
    assert_eq!((memory.attribute(0, UsedHigh), memory.attribute(0, ReservedHigh)), (0, 0));
    assert_eq!(MemAttribute::from_raw(4), None);
}

/// 1.8: a graph with memory nodes that is instantiated elsewhere is not taken.
#[test]
fn an_update_from_a_graph_with_memory_nodes_takes_them_over() {
    let mut graphs = Graphs::default();
    let build = |graphs: &mut Graphs, address: u64| {
        let graph = graphs.create();
        add(graphs, graph, &[], alloc(address));
        graph
    };
    let (first, second, third) = (build(&mut graphs, 0x100), build(&mut graphs, 0x200), build(&mut graphs, 0x300));
    let exec = graphs.instantiate(first, 0).unwrap();
    let other = graphs.instantiate(third, 0).unwrap();
    let refused = graphs.update(exec, third).unwrap_err();
    assert_eq!((refused.code, refused.result), (CUresult::NOT_SUPPORTED, UpdateResult::Untold));
    assert_eq!(graphs.update(exec, second), Ok(()));
    graphs.launch(exec).unwrap();
    assert_eq!(graphs.memory().free(0x200), Some(Ok(())));
    assert!(graphs.instantiate(first, 0).is_ok(), "its instance belongs to the other graph now");
    assert!(graphs.instantiate(second, 0).is_err());
    graphs.destroy_exec(other).unwrap();
}
