//! Recapture into an existing graph: capture-semantics 1.9.
use super::support::*;
use graphproof_driver::abi::CUresult;
use graphproof_driver::software::capture::CaptureMode::Global;
use graphproof_driver::software::capture::{CaptureStatus, unknowns};
use graphproof_driver::software::graph::{NodeInfo, Ownership};
use graphproof_driver::software::work::NodeParams;

/// 1.9: a recapture of the same work changes nothing.
#[test]
fn a_recapture_of_the_same_work_succeeds() {
    let mut model = Model::default();
    let graph = recaptured(&mut model, &[1, 2]);
    model.enqueue(S, fill(1)).unwrap();
    model.enqueue(S, fill(2)).unwrap();
    assert!(model.capture.take_mismatch(S).is_none());
    assert_eq!(model.end(S), Ok(graph));
}

/// 1.9: without a callback other parameters are taken over.
#[test]
fn a_recapture_without_a_callback_updates_the_nodes() {
    let mut model = Model::default();
    let graph = recaptured(&mut model, &[1, 2]);
    model.enqueue(S, fill(1)).unwrap();
    let node = model.enqueue(S, fill(5)).unwrap().unwrap();
    assert_eq!(model.end(S), Ok(graph));
    let work = model.graphs.node(node).unwrap().work().clone();
    let graphproof_driver::software::graph::NodeWork::Work(NodeParams::Memset(fill)) = work else { panic!("a fill") };
    assert_eq!(fill.value, 5);
}

/// 1.9: another type, another topology, more or fewer nodes: 918.
#[test]
fn a_recapture_with_another_topology_is_918() {
    let failure = CUresult::GRAPH_RECAPTURE_FAILURE;
    let mut model = Model::default();
    recaptured(&mut model, &[1, 2]);
    assert_eq!(model.enqueue(S, NodeParams::Empty), Err(failure));
    model.assert_invalidated(S);

    recaptured(&mut model, &[1]);
    model.enqueue(S, fill(1)).unwrap();
    assert_eq!(model.enqueue(S, fill(2)), Err(failure));
    model.assert_invalidated(S);

    recaptured(&mut model, &[1, 2]);
    model.enqueue(S, fill(1)).unwrap();
    assert_eq!(model.end(S), Err(unknowns::RECAPTURE_INCOMPLETE));

    recaptured(&mut model, &[1, 2]);
    model.record(E, S).unwrap();
    model.enqueue(S, fill(1)).unwrap();
    model.wait(U, E).unwrap();
    assert_eq!(model.enqueue(U, fill(2)), Err(failure), "the second node hangs behind the first");
}

/// 1.9: recapture needs a graph of the caller that is not being captured into.
#[test]
fn a_recapture_needs_an_idle_graph_of_the_caller() {
    let mut model = Model::default();
    let (parent, child) = (model.graphs.create(), model.graphs.create());
    let info = NodeInfo::default();
    model.graphs.add_child_graph(parent, &[], child, Ownership::Move, info).unwrap();
    for graph in [0, child] {
        let begun = model.capture.begin_recapture(&mut model.graphs, T, S, Global, graph, None);
        assert_eq!(begun, Err(CUresult::INVALID_VALUE));
        assert_eq!(model.status(S), CaptureStatus::None);
    }
}

/// Captures those fills and begins to recapture them on [`S`].
fn recaptured(model: &mut Model, values: &[u32]) -> u64 {
    if model.status(S) != CaptureStatus::None {
        let _ = model.end(S);
    }
    model.begin(S, Global).unwrap();
    for &value in values {
        model.enqueue(S, fill(value)).unwrap();
    }
    let graph = model.end(S).unwrap();
    model.capture.begin_recapture(&mut model.graphs, T, S, Global, graph, None).unwrap();
    graph
}
