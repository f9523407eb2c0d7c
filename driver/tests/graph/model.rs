//! The graph model without a device: nodes, edges, clones, child graphs, conditionals, user objects.

use graphproof_driver::abi::{CUresult, Cuda};
use graphproof_driver::software::graph::{
    ASSIGN_DEFAULT, EdgeData, Graphs, InstantiateResult, MOVE, NO_DESTRUCTOR_SYNC, NodeInfo, NodeType, Ownership,
};
use graphproof_driver::software::params::Callback;
use graphproof_driver::software::work::{ConditionalKind, MemsetWork, NodeParams, PlanWork};

const INVALID: CUresult = CUresult::INVALID_VALUE;
const FULL: EdgeData = EdgeData::FULL;

fn fill(value: u32) -> NodeParams {
    NodeParams::Memset(MemsetWork { dst: 0x1000, pitch: 0, value, element_size: 4, width: 1, height: 1 })
}

fn add(graphs: &mut Graphs, graph: u64, after: &[u64]) -> u64 {
    try_add(graphs, graph, after, fill(0)).expect("a valid node")
}

fn try_add(graphs: &mut Graphs, graph: u64, after: &[u64], work: NodeParams) -> Cuda<u64> {
    let after: Vec<_> = after.iter().map(|&node| (node, FULL)).collect();
    graphs.add_node(graph, &after, work, NodeInfo::default())
}

fn edges(graphs: &Graphs, graph: u64) -> Vec<(u32, u32)> {
    let local = |node| graphs.node(node).expect("a node").local_id();
    graphs.edges(graph).expect("a graph").into_iter().map(|(from, to, _)| (local(from), local(to))).collect()
}

#[test]
fn nodes_edges_and_roots_read_back() {
    let mut graphs = Graphs::default();
    let graph = graphs.create();
    let a = add(&mut graphs, graph, &[]);
    let b = add(&mut graphs, graph, &[a]);
    let c = add(&mut graphs, graph, &[a]);
    let d = add(&mut graphs, graph, &[b, c]);
    assert_eq!(edges(&graphs, graph), [(0, 1), (0, 2), (1, 3), (2, 3)]);
    assert_eq!(graphs.root_nodes(graph).unwrap(), [a]);
    assert_eq!(graphs.dependencies(d).unwrap(), [(b, d, FULL), (c, d, FULL)]);
    assert_eq!(graphs.dependents(a).unwrap(), [(a, b, FULL), (a, c, FULL)]);
    assert_eq!(graphs.tools_id(d).unwrap() & 0xffff_ffff, 3);
    assert_eq!(graphs.tools_id(d).unwrap() >> 32, u64::from(graphs.graph(graph).unwrap().id()));
}

#[test]
fn bad_dependencies_are_refused_and_leave_the_graph_as_it_was() {
    let mut graphs = Graphs::default();
    let (graph, other) = (graphs.create(), graphs.create());
    let a = add(&mut graphs, graph, &[]);
    let stranger = add(&mut graphs, other, &[]);
    for after in [vec![a, a], vec![stranger], vec![0], vec![0xdead], vec![a; 20]] {
        assert_eq!(try_add(&mut graphs, graph, &after, fill(0)), Err(INVALID), "{after:x?}");
    }
    let b = add(&mut graphs, graph, &[a]);
    for (from, to) in [(a, b), (a, a), (a, stranger), (stranger, a), (0, a)] {
        assert_eq!(graphs.add_dependencies(graph, &[(from, to, FULL)]), Err(INVALID));
    }
    // All or nothing: the good edge of a bad list is not added.
    let c = add(&mut graphs, graph, &[]);
    assert_eq!(graphs.add_dependencies(graph, &[(a, c, FULL), (a, c, FULL)]), Err(INVALID));
    assert_eq!(edges(&graphs, graph), [(0, 1)]);
    assert_eq!(graphs.remove_dependencies(graph, &[(a, c, FULL)]), Err(INVALID));
    let annotated = EdgeData { from_port: 2, ..FULL };
    assert_eq!(graphs.remove_dependencies(graph, &[(a, b, annotated)]), Err(INVALID));
    assert_eq!(graphs.remove_dependencies(graph, &[(a, b, FULL)]), Ok(()));
    assert_eq!(edges(&graphs, graph), []);
}

#[test]
fn destroyed_nodes_leave_no_edges_and_no_ids_behind() {
    let mut graphs = Graphs::default();
    let graph = graphs.create();
    let nodes: Vec<u64> = (0..100)
        .scan(vec![], |after: &mut Vec<u64>, _| {
            let node = add(&mut graphs, graph, after);
            *after = vec![node];
            Some(node)
        })
        .collect();
    for &node in nodes.iter().step_by(2) {
        graphs.destroy_node(node).unwrap();
        assert_eq!(graphs.destroy_node(node), Err(INVALID), "destroyed twice");
    }
    assert_eq!(graphs.graph(graph).unwrap().len(), 50);
    assert_eq!(edges(&graphs, graph), []);
    let next = add(&mut graphs, graph, &[nodes[1]]);
    assert_eq!(graphs.node(next).unwrap().local_id(), 100);
    assert_eq!(graphs.nodes(graph).unwrap().count(), 51);
}

#[test]
fn a_destroyed_graph_takes_its_nodes_with_it() {
    let mut graphs = Graphs::default();
    let graph = graphs.create();
    let a = add(&mut graphs, graph, &[]);
    let child = graphs.create();
    let inner = add(&mut graphs, child, &[]);
    graphs.add_child_graph(graph, &[(a, FULL)], child, Ownership::Move, NodeInfo::default()).unwrap();
    assert_eq!(graphs.destroy(child), Err(INVALID), "it belongs to the node now");
    assert_eq!(graphs.destroy(graph), Ok(()));
    assert_eq!(graphs.destroy(graph), Err(INVALID), "destroyed twice");
    for node in [a, inner] {
        assert!(graphs.node(node).is_err());
    }
    assert!(graphs.graph(child).is_err());
    for foreign in [0, 1, 2, u64::MAX, a] {
        assert_eq!(graphs.destroy(foreign), Err(INVALID));
    }
}

#[test]
fn a_clone_is_independent_and_its_nodes_are_found() {
    let mut graphs = Graphs::default();
    let graph = graphs.create();
    let a = add(&mut graphs, graph, &[]);
    let b = add(&mut graphs, graph, &[a]);
    let child = graphs.create();
    add(&mut graphs, child, &[]);
    let c = graphs.add_child_graph(graph, &[(b, FULL)], child, Ownership::Clone, NodeInfo::default()).unwrap();
    let clone = graphs.clone_graph(graph).unwrap();
    assert_eq!(edges(&graphs, clone), [(0, 1), (1, 2)]);
    let twin = graphs.find_in_clone(b, clone).unwrap();
    assert_eq!(graphs.node(twin).unwrap().graph(), clone);
    let inner = graphs.node(graphs.find_in_clone(c, clone).unwrap()).unwrap().work().graphs()[0];
    assert_ne!(inner, graphs.node(c).unwrap().work().graphs()[0]);
    graphs.destroy_node(twin).unwrap();
    assert_eq!(graphs.find_in_clone(b, clone), Err(INVALID), "removed from the clone");
    assert_eq!(graphs.find_in_clone(twin, clone), Err(INVALID), "not in the original");
    assert_eq!(edges(&graphs, graph), [(0, 1), (1, 2)]);
    graphs.destroy(graph).unwrap();
    assert_eq!(graphs.graph(clone).unwrap().len(), 2);
}

#[test]
fn child_graph_ownership() {
    let mut graphs = Graphs::default();
    let (graph, child) = (graphs.create(), graphs.create());
    add(&mut graphs, child, &[]);
    let info = NodeInfo::default;
    let cloned = graphs.add_child_graph(graph, &[], child, Ownership::Clone, info()).unwrap();
    assert_ne!(graphs.node(cloned).unwrap().work().graphs(), [child]);
    let moved = graphs.add_child_graph(graph, &[], child, Ownership::Move, info()).unwrap();
    assert_eq!(graphs.node(moved).unwrap().work().graphs(), [child]);
    // Moved: no second parent by a move, no instance of its own, no destroy, no memory nodes.
    assert_eq!(graphs.add_child_graph(graph, &[], child, Ownership::Move, info()), Err(INVALID));
    assert!(graphs.instantiate(child, 0).is_err());
    let alloc = NodeParams::MemAlloc { address: 0x100, size: 8, pool: 0, device: 0 };
    assert_eq!(try_add(&mut graphs, child, &[], alloc), Err(INVALID));
    // A graph cannot become its own descendant.
    assert_eq!(graphs.add_child_graph(graph, &[], graph, Ownership::Move, info()), Err(INVALID));
    // Destroying the node destroys the moved graph.
    graphs.destroy_node(moved).unwrap();
    assert!(graphs.graph(child).is_err());
}

#[test]
fn nesting_has_a_limit_instead_of_a_crash() {
    let mut graphs = Graphs::default();
    let mut inner = graphs.create();
    let refused = (0..200).find_map(|_| {
        let outer = graphs.create();
        let result = graphs.add_child_graph(outer, &[], inner, Ownership::Move, NodeInfo::default());
        inner = outer;
        result.err()
    });
    assert_eq!(refused, Some(CUresult::NOT_SUPPORTED));
}

#[test]
fn conditional_nodes_and_their_restrictions() {
    let mut graphs = Graphs::default();
    let graph = graphs.create();
    let handle = graphs.create_conditional_handle(graph, 0, 1, ASSIGN_DEFAULT).unwrap();
    assert_eq!(graphs.create_conditional_handle(graph, 0, 1, 2), Err(INVALID));
    let failed = graphs.instantiate(graph, 0).unwrap_err();
    assert_eq!(failed.result, InstantiateResult::ConditionalHandleUnused);
    let info = NodeInfo::default;
    for (kind, size) in [(ConditionalKind::If, 3), (ConditionalKind::While, 2), (ConditionalKind::Switch, 0)] {
        assert_eq!(graphs.add_conditional(graph, &[], handle, kind, size, info()), Err(INVALID), "{kind:?}");
    }
    let node = graphs.add_conditional(graph, &[], handle, ConditionalKind::If, 2, info()).unwrap();
    assert_eq!(graphs.add_conditional(graph, &[], handle, ConditionalKind::If, 1, info()), Err(INVALID), "in use");
    let bodies = graphs.node(node).unwrap().work().graphs().to_vec();
    add(&mut graphs, bodies[0], &[]);
    // Measured: a node that may not be in a body can be added, and then instantiation fails.
    for forbidden in
        [NodeParams::MemAlloc { address: 1, size: 1, pool: 0, device: 0 }, NodeParams::BatchMemOp(Box::default())]
    {
        let graph = graphs.create();
        let handle = graphs.create_conditional_handle(graph, 0, 1, ASSIGN_DEFAULT).unwrap();
        let node = graphs.add_conditional(graph, &[], handle, ConditionalKind::If, 1, info()).unwrap();
        let body = graphs.node(node).unwrap().work().graphs()[0];
        let inner = try_add(&mut graphs, body, &[], forbidden).unwrap();
        let failed = graphs.instantiate(graph, 0).unwrap_err();
        assert_eq!((failed.code, failed.node), (INVALID, inner));
        graphs.destroy(graph).unwrap();
    }
    assert_eq!(graphs.clone_graph(graph), Err(CUresult::NOT_SUPPORTED));
    let parent = graphs.create();
    for ownership in [Ownership::Clone, Ownership::Move] {
        assert_eq!(graphs.add_child_graph(parent, &[], graph, ownership, info()), Err(CUresult::NOT_SUPPORTED));
    }
    let exec = graphs.instantiate(graph, 0).unwrap();
    assert!(graphs.instantiate(graph, 0).is_err(), "one instance at a time");
    let plan = graphs.launch(exec).unwrap().plan;
    assert!(matches!(plan.steps[0].work, PlanWork::SetConditional { to: 1, .. }));
    assert!(matches!(&plan.steps[1].work, PlanWork::Conditional { bodies, .. } if bodies.len() == 2));
    assert_eq!(plan.steps[1].dependencies, 1);
    // The handle of another graph does not fit.
    let other = graphs.create_conditional_handle(parent, 0, 0, 0).unwrap();
    let wrong = graphs.create();
    assert_eq!(graphs.add_conditional(wrong, &[], other, ConditionalKind::While, 1, info()), Err(INVALID));
    graphs.destroy(parent).unwrap();
    assert!(graphs.conditional_value(other).is_none());
}

#[test]
fn user_objects_live_as_long_as_the_last_reference() {
    let mut graphs = Graphs::default();
    let graph = graphs.create();
    let destructor = Callback { function: 7, data: 8 };
    assert_eq!(graphs.create_object(destructor, 0, NO_DESTRUCTOR_SYNC), Err(INVALID));
    assert_eq!(graphs.create_object(destructor, 1, 0), Err(INVALID));
    let object = graphs.create_object(destructor, 2, NO_DESTRUCTOR_SYNC).unwrap();
    graphs.graph_retain(graph, object, 1, MOVE).unwrap();
    graphs.user_release(object, 1).unwrap();
    let exec = graphs.instantiate(graph, 0).unwrap();
    let clone = graphs.clone_graph(graph).unwrap();
    assert_eq!(graphs.graph_release(graph, object, 2), Err(INVALID), "more than the graph holds");
    let launch = graphs.launch(exec).unwrap();
    graphs.destroy(graph).unwrap();
    graphs.destroy(clone).unwrap();
    graphs.destroy_exec(exec).unwrap();
    assert!(graphs.take_destructors().is_empty(), "a launch is in flight");
    drop(launch);
    assert_eq!(graphs.take_destructors(), [destructor]);
    assert_eq!(graphs.user_retain(object, 1), Err(INVALID));
}

#[test]
fn dot_output_names_nodes_types_and_edges() {
    use graphproof_driver::software::graph::dot_flags;
    let mut graphs = Graphs::default();
    let graph = graphs.create();
    let a = add(&mut graphs, graph, &[]);
    let child = graphs.create();
    add(&mut graphs, child, &[]);
    graphs.add_child_graph(graph, &[(a, FULL)], child, Ownership::Clone, NodeInfo::default()).unwrap();
    let id = graphs.graph(graph).unwrap().id();
    let plain = graphs.dot(graph, 0).unwrap();
    assert!(plain.starts_with("digraph dot {"));
    assert!(plain.contains(&format!("\"graph_{id}_node_0\" -> \"graph_{id}_node_1\"")));
    assert!(plain.contains("MEMSET") && plain.contains("GRAPH") && !plain.contains("value:"));
    let verbose = graphs.dot(graph, dot_flags::VERBOSE).unwrap();
    assert!(verbose.contains("value: 0") && verbose.contains("node handle") && verbose.contains("from_port=0"));
    assert_eq!(plain.matches('{').count(), plain.matches('}').count());
    assert!(graphs.dot(0, 0).is_err());
}

#[test]
fn types_are_those_of_the_header() {
    let works = [
        (fill(0), NodeType::Memset, 2),
        (NodeParams::Empty, NodeType::Empty, 5),
        (NodeParams::MemFree { address: 0 }, NodeType::MemFree, 11),
    ];
    for (work, kind, number) in works {
        let node = graphproof_driver::software::graph::NodeWork::from(work);
        assert_eq!((node.node_type(), node.node_type() as u32), (kind, number));
    }
}
