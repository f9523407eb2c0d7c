//! Fork and join, and what captured calls become: capture-semantics 1.4 and 1.5.
use super::support::*;
use graphproof_driver::abi::CUresult;
use graphproof_driver::software::SyncTarget;
use graphproof_driver::software::capture::CaptureMode::{Global, Relaxed};
use graphproof_driver::software::capture::{CaptureStatus, Placement};
use graphproof_driver::software::graph::{NodeInfo, NodeType};
use graphproof_driver::software::work::NodeParams;

/// 1.4: an event record makes no node; a fork's work hangs behind the recorded set. D [PG].
#[test]
fn a_fork_and_a_join_make_a_diamond() {
    for mode in MODES {
        let mut model = Model::capturing(S, mode);
        model.node(S);
        model.record(E, S).unwrap();
        assert!(matches!(model.wait(U, E), Ok(Placement::Captured(_))));
        assert_eq!(model.status(U), CaptureStatus::Active);
        model.node(S);
        model.node(U);
        model.record(F, U).unwrap();
        model.wait(S, F).unwrap();
        model.node(S);
        let graph = model.end(S).unwrap();
        assert_eq!(model.edges(graph), [(0, 1), (0, 2), (1, 3), (2, 3)], "{mode:?}");
        assert_eq!(model.status(U), CaptureStatus::None);
    }
}

/// 1.5: the event is a snapshot; later work on its stream is not part of it. D.
#[test]
fn an_event_holds_what_was_there_when_it_was_recorded() {
    let mut model = Model::capturing(S, Global);
    model.node(S);
    model.record(E, S).unwrap();
    model.node(S);
    model.wait(U, E).unwrap();
    model.node(U);
    model.record(F, U).unwrap();
    model.wait(S, F).unwrap();
    let graph = model.end(S).unwrap();
    assert_eq!(model.edges(graph), [(0, 1), (0, 2)]);
}

/// 1.5, M [HT 2026]: an adjacent wait on the own stream's event adds no edge.
#[test]
fn an_adjacent_self_wait_adds_no_edge() {
    let mut model = Model::capturing(S, Global);
    for _ in 0..3 {
        model.node(S);
        model.record(E, S).unwrap();
        model.wait(S, E).unwrap();
    }
    model.node(S);
    let graph = model.end(S).unwrap();
    assert_eq!(model.edges(graph), [(0, 1), (1, 2), (2, 3)]);
}

/// 1.5, M [HT 2026]: with work between record and wait, the wait adds one edge.
#[test]
fn a_self_wait_with_work_between_adds_one_edge() {
    let mut model = Model::capturing(S, Global);
    model.node(S);
    model.record(E, S).unwrap();
    model.node(S);
    model.wait(S, E).unwrap();
    model.node(S);
    let graph = model.end(S).unwrap();
    assert_eq!(model.edges(graph), [(0, 1), (1, 2), (0, 2)]);
}

/// 1.5: forks may wait for each other in a circle, M [HT 2026]; edges stay acyclic.
#[test]
fn forks_may_wait_for_each_other_in_a_circle() {
    let mut model = Model::capturing(S, Global);
    model.record(E, S).unwrap();
    model.wait(U, E).unwrap();
    model.wait(V, E).unwrap();
    for _ in 0..3 {
        model.node(U);
        model.record(E, U).unwrap();
        model.wait(V, E).unwrap();
        model.node(V);
        model.record(F, V).unwrap();
        model.wait(U, F).unwrap();
    }
    model.record(E, U).unwrap();
    model.wait(S, E).unwrap();
    model.record(F, V).unwrap();
    model.wait(S, F).unwrap();
    let graph = model.end(S).unwrap();
    assert!(model.edges(graph).iter().all(|(from, to)| from < to));
    assert!(model.graphs.instantiate(graph, 0).is_ok());
}

/// 1.5, M [HT :906-919]: work of the fork behind its join event is unjoined.
#[test]
fn work_behind_the_join_event_is_unjoined() {
    let mut model = Model::capturing(S, Global);
    model.record(E, S).unwrap();
    model.wait(U, E).unwrap();
    model.node(U);
    model.record(F, U).unwrap();
    model.node(U);
    model.wait(S, F).unwrap();
    assert_eq!(model.end(S), Err(CUresult::STREAM_CAPTURE_UNJOINED));
}

/// 1.5: a fork joined through another fork counts.
#[test]
fn a_join_through_another_fork_counts() {
    let mut model = Model::capturing(S, Global);
    model.record(E, S).unwrap();
    model.wait(U, E).unwrap();
    model.node(U);
    model.record(E, U).unwrap();
    model.wait(V, E).unwrap();
    model.node(V);
    model.record(F, V).unwrap();
    model.wait(S, F).unwrap();
    let graph = model.end(S).unwrap();
    assert_eq!(model.edges(graph), [(0, 1)]);
}

/// 1.5: a node added by hand does not have to be joined. D [h L17552-17610].
#[test]
fn a_node_added_by_hand_is_not_unjoined() {
    let mut model = Model::capturing(S, Global);
    let node = model.node(S);
    let graph = model.graphs.node(node).unwrap().graph();
    model.graphs.add_node(graph, &[], fill(7), NodeInfo::default()).unwrap();
    assert_eq!(model.end(S), Ok(graph));
}

/// 1.4: a wait for an event from before the capture: 905 in every mode. M [HTN _old.cc:884].
#[test]
fn a_wait_for_work_of_before_the_capture_is_905() {
    for mode in MODES {
        let mut model = Model::default();
        model.record(E, S).unwrap();
        model.begin(S, mode).unwrap();
        assert_eq!(model.wait(S, E), Err(CUresult::STREAM_CAPTURE_ISOLATION), "{mode:?}");
        model.assert_invalidated(S);
    }
}

/// 1.10 i, measured: a wait for an event that was never recorded.
#[test]
fn a_wait_for_an_event_that_was_never_recorded_is_no_dependency() {
    let mut model = Model::capturing(S, Global);
    assert_eq!(model.wait(S, E).map(|_| ()), Ok(()));
    model.assert_intact(S);
    let mut model = Model::default();
    assert_eq!(model.wait(S, E), Ok(Placement::Eager));
}

/// 1.4: a wait joining two active captures: 902, both invalidated with their forks. M [HT 2026].
#[test]
fn a_wait_across_two_captures_is_902_for_both() {
    for mode in MODES {
        let mut model = Model::capturing(S, mode);
        model.begin(V, mode).unwrap();
        model.record(E, S).unwrap();
        model.wait(U, E).unwrap();
        assert_eq!(model.wait(V, E), Err(CUresult::STREAM_CAPTURE_MERGE), "{mode:?}");
        for stream in [S, U, V] {
            assert_eq!(model.status(stream), CaptureStatus::Invalidated);
        }
        model.assert_invalidated(S);
        model.assert_invalidated(V);
        assert_eq!(model.status(U), CaptureStatus::None);
    }
}

/// 1.4: an idle stream waiting for an invalidated capture's event: INVALID_VALUE, M
/// rocm-systems#11589.
#[test]
fn an_idle_wait_for_an_invalidated_captures_event_is_refused() {
    let mut model = Model::capturing(S, Global);
    model.record(E, S).unwrap();
    model.capture.unsafe_call(T).unwrap_err();
    assert_eq!(model.wait(U, E), Err(CUresult::INVALID_VALUE));
    assert_eq!(model.status(U), CaptureStatus::None);
}

/// Measured: an event of a capture that has ended, or is invalidated, is of no use to another capture.
#[test]
fn a_capture_cannot_wait_for_the_event_of_a_dead_one() {
    for ended in [true, false] {
        for external in [true, false] {
            let mut model = Model::capturing(S, Relaxed);
            model.record(E, S).unwrap();
            if ended {
                model.end(S).unwrap();
                assert_eq!(model.wait(U, E), Err(CUresult::INVALID_VALUE));
            } else if external {
                continue;
            } else {
                model.capture.conflicting_call(S).unwrap_err();
            }
            model.begin(V, Relaxed).unwrap();
            let waited = if external { model.capture.wait_external(V, E) } else { model.wait(V, E) };
            assert_eq!(waited, Err(CUresult::INVALID_VALUE));
            model.assert_invalidated(V);
        }
    }
}

/// 1.4: the legacy stream cannot join a capture.
#[test]
fn the_legacy_stream_cannot_join() {
    for origin in [S, non_blocking(20)] {
        let mut model = Model::capturing(origin, Relaxed);
        model.record(E, origin).unwrap();
        assert_eq!(model.wait(LEGACY, E), Err(CUresult::STREAM_CAPTURE_IMPLICIT));
        model.assert_invalidated(origin);
    }
}

/// 1.5: after the capture an event recorded eagerly is an ordinary one again. D [PG].
#[test]
fn an_event_recorded_eagerly_again_is_ordinary() {
    let mut model = Model::capturing(S, Global);
    model.record(E, S).unwrap();
    model.end(S).unwrap();
    assert_eq!(model.record(E, S), Ok(Placement::Eager));
    assert_eq!(model.wait(U, E), Ok(Placement::Eager));
    assert_eq!(model.capture.sync_call(T, SyncTarget::Event(E)), Ok(()));
}

/// 1.4: a destroyed and remade event has no memory of the capture.
#[test]
fn a_destroyed_event_is_forgotten() {
    let mut model = Model::capturing(S, Relaxed);
    model.record(E, S).unwrap();
    model.capture.event_destroyed(E);
    assert_eq!(model.capture.sync_call(T, SyncTarget::Event(E)), Ok(()));
    model.assert_intact(S);
}

/// 1.4: each kind of captured call becomes its node.
#[test]
fn captured_calls_become_nodes_of_their_type() {
    let mut model = Model::capturing(S, Global);
    let works = [
        (fill(1), NodeType::Memset),
        (NodeParams::EventRecord(E), NodeType::EventRecord),
        (NodeParams::EventWait(E), NodeType::WaitEvent),
        (NodeParams::MemAlloc { address: 0x7000, size: 64, pool: 0, device: 0 }, NodeType::MemAlloc),
        (NodeParams::MemFree { address: 0x7000 }, NodeType::MemFree),
        (NodeParams::BatchMemOp(Box::default()), NodeType::BatchMemOp),
    ];
    for (work, kind) in works {
        let node = model.enqueue(S, work).unwrap().unwrap();
        assert_eq!(model.graphs.node(node).unwrap().work().node_type(), kind);
    }
    let graph = model.end(S).unwrap();
    assert_eq!(model.edges(graph), [(0, 1), (1, 2), (2, 3), (3, 4), (4, 5)]);
}

/// 1.4, D [h L13913, L22045]: a captured free needs a graph allocation. G: it invalidates.
#[test]
fn a_captured_free_of_other_memory_is_refused() {
    let mut model = Model::capturing(S, Relaxed);
    let refused = model.enqueue(S, NodeParams::MemFree { address: 0x9000 });
    assert_eq!(refused, Err(CUresult::INVALID_VALUE));
    model.assert_intact(S);
}

/// 1.5: a thousand forks joined into one stream: every one is a dependency of the join.
#[test]
fn many_forks_join_into_one_node() {
    const FORKS: u64 = 1000;
    let mut model = Model::capturing(S, Global);
    model.node(S);
    model.record(E, S).unwrap();
    for fork in 0..FORKS {
        let fork = stream(100 + fork);
        model.wait(fork, E).unwrap();
        model.node(fork);
        model.record(F, fork).unwrap();
        model.wait(S, F).unwrap();
    }
    let join = model.node(S);
    assert_eq!(model.graphs.dependencies(join).unwrap().len(), FORKS as usize + 1);
    assert!(model.end(S).is_ok());
}
