//! Executable graphs without a device: capture-semantics 1.7 and 1.8.

use graphproof_driver::abi::{CUresult, Cuda};
use graphproof_driver::software::EventId;
use graphproof_driver::software::graph::{
    AUTO_FREE_ON_LAUNCH, DEVICE_LAUNCH, EdgeData, Graphs, InstantiateResult, NodeInfo, Ownership, UPLOAD,
    USE_NODE_PRIORITY, UpdateResult,
};
use graphproof_driver::software::work::{MemsetWork, NodeParams, Plan, PlanWork};

const INVALID: CUresult = CUresult::INVALID_VALUE;
const FULL: EdgeData = EdgeData::FULL;

fn fill(value: u32) -> MemsetWork {
    MemsetWork { dst: 0x1000, pitch: 0, value, element_size: 4, width: 1, height: 1 }
}

fn try_add(graphs: &mut Graphs, graph: u64, after: &[u64], work: NodeParams) -> Cuda<u64> {
    let after: Vec<_> = after.iter().map(|&node| (node, FULL)).collect();
    graphs.add_node(graph, &after, work, NodeInfo::default())
}

fn add(graphs: &mut Graphs, graph: u64, after: &[u64], work: NodeParams) -> u64 {
    try_add(graphs, graph, after, work).expect("a valid node")
}

/// A chain of fills with these values.
fn chain(graphs: &mut Graphs, values: &[u32]) -> (u64, Vec<u64>) {
    let graph = graphs.create();
    let mut nodes: Vec<u64> = Vec::new();
    for &value in values {
        let after: Vec<u64> = nodes.last().copied().into_iter().collect();
        nodes.push(add(graphs, graph, &after, NodeParams::Memset(fill(value))));
    }
    (graph, nodes)
}

fn values(plan: &Plan) -> Vec<Option<u32>> {
    let value = |work: &PlanWork| match work {
        PlanWork::Node(NodeParams::Memset(fill)) => Some(fill.value),
        _ => None,
    };
    plan.steps.iter().map(|step| value(&step.work)).collect()
}

/// 1.7: flags.
#[test]
fn instantiation_flags() {
    let mut graphs = Graphs::default();
    let (graph, _) = chain(&mut graphs, &[1]);
    for flags in
        [0, AUTO_FREE_ON_LAUNCH, UPLOAD, DEVICE_LAUNCH, USE_NODE_PRIORITY, AUTO_FREE_ON_LAUNCH | USE_NODE_PRIORITY]
    {
        let exec = graphs.instantiate(graph, flags).unwrap();
        assert_eq!(graphs.exec(exec).unwrap().flags(), flags & !(UPLOAD | USE_NODE_PRIORITY));
        graphs.destroy_exec(exec).unwrap();
        assert_eq!(graphs.destroy_exec(exec), Err(INVALID), "destroyed twice");
    }
    for flags in [AUTO_FREE_ON_LAUNCH | DEVICE_LAUNCH, 16, u64::MAX] {
        assert_eq!(graphs.instantiate(graph, flags).unwrap_err().code, INVALID);
    }
}

/// 1.7, D: what a graph for device launch may hold.
#[test]
fn device_launch_allows_kernels_copies_fills_and_children_only() {
    let mut graphs = Graphs::default();
    let empty = graphs.create();
    assert!(graphs.instantiate(empty, DEVICE_LAUNCH).is_err());
    assert!(graphs.instantiate(empty, 0).is_ok(), "an empty graph is fine on the host");
    let (graph, nodes) = chain(&mut graphs, &[1]);
    let event = add(&mut graphs, graph, &nodes, NodeParams::EventRecord(EventId(7)));
    let failed = graphs.instantiate(graph, DEVICE_LAUNCH).unwrap_err();
    assert_eq!((failed.result, failed.node), (InstantiateResult::NodeOperationNotSupported, event));
}

/// 1.7: a cycle is found, with one of its nodes.
#[test]
fn a_cycle_is_an_invalid_structure() {
    let mut graphs = Graphs::default();
    let (graph, nodes) = chain(&mut graphs, &[1, 2, 3]);
    graphs.add_dependencies(graph, &[(nodes[2], nodes[1], FULL)]).unwrap();
    let failed = graphs.instantiate(graph, 0).unwrap_err();
    assert_eq!((failed.code, failed.result), (INVALID, InstantiateResult::InvalidStructure));
    assert!(nodes[1..].contains(&failed.node));
    graphs.remove_dependencies(graph, &[(nodes[1], nodes[2], FULL)]).unwrap();
    assert!(graphs.instantiate(graph, 0).is_ok(), "an edge backwards in order of creation is fine");
}

/// 1.7: the executable graph is a snapshot; launches in flight keep theirs.
#[test]
fn an_executable_graph_is_a_snapshot() {
    let mut graphs = Graphs::default();
    let (graph, nodes) = chain(&mut graphs, &[1, 2]);
    let exec = graphs.instantiate(graph, 0).unwrap();
    graphs.set_params(nodes[0], NodeParams::Memset(fill(9)), NodeInfo::default()).unwrap();
    let first = graphs.launch(exec).unwrap().plan;
    assert_eq!(values(&first), [Some(1), Some(2)]);
    graphs.exec_set_params(exec, nodes[0], NodeParams::Memset(fill(5)), NodeInfo::default()).unwrap();
    let second = graphs.launch(exec).unwrap().plan;
    assert_eq!(values(&first), [Some(1), Some(2)]);
    assert_eq!(values(&second), [Some(5), Some(2)]);
    assert_eq!(second.steps[0].dependents, [1]);
    assert_eq!(second.steps[1].dependencies, 1);
    graphs.destroy(graph).unwrap();
    assert!(graphs.launch(exec).is_ok(), "the graph may go");
    assert_eq!(graphs.exec_set_params(exec, nodes[0], NodeParams::Memset(fill(1)), NodeInfo::default()), Err(INVALID));
}

/// 1.7: each launch waits for the one before.
#[test]
fn launches_of_one_executable_graph_are_ordered() {
    use graphproof_scheduler::Ticket;
    let mut graphs = Graphs::default();
    let (graph, _) = chain(&mut graphs, &[1]);
    let exec = graphs.instantiate(graph, 0).unwrap();
    assert_eq!(graphs.launch(exec).unwrap().after, None);
    let ticket = Ticket { stream: 4, sequence: 2 };
    graphs.set_ticket(exec, ticket);
    assert_eq!(graphs.launch(exec).unwrap().after, Some(ticket));
    assert_eq!(graphs.upload(exec), Ok(Some(ticket)));
}

/// 1.7: disabled nodes are empty ones until they are enabled again.
#[test]
fn nodes_can_be_disabled() {
    let mut graphs = Graphs::default();
    let (graph, nodes) = chain(&mut graphs, &[1, 2]);
    let empty = add(&mut graphs, graph, &[], NodeParams::Empty);
    let exec = graphs.instantiate(graph, 0).unwrap();
    graphs.set_enabled(exec, nodes[0], false).unwrap();
    assert_eq!(graphs.enabled(exec, nodes[0]), Ok(false));
    assert_eq!(values(&graphs.launch(exec).unwrap().plan), [None, Some(2), None]);
    graphs.set_enabled(exec, nodes[0], true).unwrap();
    assert_eq!(values(&graphs.launch(exec).unwrap().plan), [Some(1), Some(2), None]);
    assert_eq!(graphs.set_enabled(exec, empty, false), Err(INVALID));
    let (_, foreign) = chain(&mut graphs, &[1]);
    assert_eq!(graphs.enabled(exec, foreign[0]), Err(INVALID));
}

/// 1.7: nodes of child graphs can be set through the executable graph of the parent.
#[test]
fn nodes_of_child_graphs_can_be_set() {
    let mut graphs = Graphs::default();
    let (child, inner) = chain(&mut graphs, &[1]);
    let graph = graphs.create();
    graphs.add_child_graph(graph, &[], child, Ownership::Move, NodeInfo::default()).unwrap();
    let exec = graphs.instantiate(graph, 0).unwrap();
    graphs.exec_set_params(exec, inner[0], NodeParams::Memset(fill(8)), NodeInfo::default()).unwrap();
    let plan = graphs.launch(exec).unwrap().plan;
    let PlanWork::Graph(inner) = &plan.steps[0].work else { panic!("a child graph") };
    assert_eq!(values(inner), [Some(8)]);
}

/// 1.8: what may change.
#[test]
fn updates_that_fit() {
    let mut graphs = Graphs::default();
    let (graph, _) = chain(&mut graphs, &[1, 2, 3]);
    let exec = graphs.instantiate(graph, 0).unwrap();
    let (other, _) = chain(&mut graphs, &[4, 5, 6]);
    assert_eq!(graphs.update(exec, other), Ok(()));
    assert_eq!(values(&graphs.launch(exec).unwrap().plan), [Some(4), Some(5), Some(6)]);
}

/// 1.8: topology, type and parameters, each with its result and node.
#[test]
fn updates_that_do_not_fit() {
    let mut graphs = Graphs::default();
    let (graph, _) = chain(&mut graphs, &[1, 2, 3]);
    let exec = graphs.instantiate(graph, 0).unwrap();
    let check = |graphs: &mut Graphs, other: u64, result: UpdateResult, node: u64, from: u64| {
        let failed = graphs.update(exec, other).unwrap_err();
        assert_eq!(failed.code, CUresult::GRAPH_EXEC_UPDATE_FAILURE);
        assert_eq!((failed.result, failed.node, failed.from), (result, node, from));
    };
    // Another number of nodes: no node is named.
    let (shorter, _) = chain(&mut graphs, &[1, 2]);
    check(&mut graphs, shorter, UpdateResult::TopologyChanged, 0, 0);
    // More exit nodes.
    let (fork, nodes) = chain(&mut graphs, &[1, 2]);
    let exit = add(&mut graphs, fork, &nodes[..1], NodeParams::Memset(fill(3)));
    let failed = graphs.update(exec, fork).unwrap_err();
    assert_eq!(failed.result, UpdateResult::TopologyChanged);
    assert!([exit, nodes[1]].contains(&failed.node));
    // A node with more dependencies.
    let (joined, nodes) = chain(&mut graphs, &[1, 2, 3]);
    graphs.add_dependencies(joined, &[(nodes[0], nodes[2], FULL)]).unwrap();
    check(&mut graphs, joined, UpdateResult::TopologyChanged, nodes[2], 0);
    // A node of another type.
    let (typed, nodes) = chain(&mut graphs, &[1, 2]);
    let empty = add(&mut graphs, typed, &nodes[1..], NodeParams::Empty);
    check(&mut graphs, typed, UpdateResult::NodeTypeChanged, empty, 0);
    // Parameters that are fixed: the height of a fill.
    let (tall, nodes) = chain(&mut graphs, &[1, 2, 3]);
    let taller = NodeParams::Memset(MemsetWork { height: 2, pitch: 4, ..fill(2) });
    graphs.set_params(nodes[1], taller, NodeInfo::default()).unwrap();
    check(&mut graphs, tall, UpdateResult::ParametersChanged, nodes[1], 0);
    // Nothing of a failed update has arrived.
    assert_eq!(values(&graphs.launch(exec).unwrap().plan), [Some(1), Some(2), Some(3)]);
    // Bad arguments.
    let failed = graphs.update(exec, 0).unwrap_err();
    assert_eq!((failed.code, failed.result), (INVALID, UpdateResult::Error));
    assert!(graphs.update(0, graph).is_err());
}

/// 1.8: a dependency on another node, with both ends named.
#[test]
fn an_update_names_both_ends_of_an_edge_that_moved() {
    let mut graphs = Graphs::default();
    let build = |graphs: &mut Graphs, last_after: usize| {
        let graph = graphs.create();
        let first = add(graphs, graph, &[], NodeParams::Empty);
        let second = add(graphs, graph, &[], NodeParams::Empty);
        let both = add(graphs, graph, &[first, second], NodeParams::Empty);
        add(graphs, graph, &[[first, second][last_after]], NodeParams::Empty);
        (graph, [first, second], both)
    };
    let (graph, _, _) = build(&mut graphs, 0);
    // The last sink pairs the first root with the second, which the other sink contradicts.
    let (other, roots, both) = build(&mut graphs, 1);
    let exec = graphs.instantiate(graph, 0).unwrap();
    let failed = graphs.update(exec, other).unwrap_err();
    assert_eq!((failed.result, failed.node, failed.from), (UpdateResult::TopologyChanged, both, roots[0]));
}

/// 1.8: child graphs are compared in depth, and cannot be the argument.
#[test]
fn updates_reach_into_child_graphs() {
    let mut graphs = Graphs::default();
    let nest = |graphs: &mut Graphs, values: &[u32]| {
        let (child, _) = chain(graphs, values);
        let graph = graphs.create();
        let node = graphs.add_child_graph(graph, &[], child, Ownership::Move, NodeInfo::default()).unwrap();
        (graph, child, node)
    };
    let (graph, _, node) = nest(&mut graphs, &[1]);
    let (same, child, _) = nest(&mut graphs, &[2]);
    let (longer, longer_child, _) = nest(&mut graphs, &[2, 3]);
    let exec = graphs.instantiate(graph, 0).unwrap();
    assert_eq!(graphs.update(exec, same), Ok(()));
    assert_eq!(graphs.update(exec, longer).unwrap_err().result, UpdateResult::TopologyChanged);
    assert_eq!(graphs.update(exec, child).unwrap_err().code, INVALID);
    assert_eq!(graphs.exec_set_child_graph(exec, node, child), Ok(()));
    assert_eq!(graphs.exec_set_child_graph(exec, node, longer_child), Err(CUresult::GRAPH_EXEC_UPDATE_FAILURE));
}
