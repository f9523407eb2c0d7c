//! Begin, end, queries and dependency sets: capture-semantics 1.1 and 1.3.
use super::support::*;
use graphproof_driver::abi::CUresult;
use graphproof_driver::software::ThreadId;
use graphproof_driver::software::capture::CaptureMode::{Global, Relaxed, ThreadLocal};
use graphproof_driver::software::capture::{CaptureStatus, DependencyUpdate};
use graphproof_driver::software::graph::{EdgeData, NodeInfo};
use graphproof_driver::software::work::NodeParams;

/// 1.3 Begin: legacy stream (M [HT :158-165], D); per-thread stream is allowed.
#[test]
fn the_legacy_stream_cannot_begin_and_the_per_thread_stream_can() {
    for mode in MODES {
        let mut model = Model::default();
        assert_eq!(model.begin(LEGACY, mode), Err(CUresult::STREAM_CAPTURE_UNSUPPORTED));
        assert!(model.begin(per_thread(21), mode).is_ok());
    }
}

/// 1.3 Begin: already capturing, as origin or as fork, active or invalidated: 401.
#[test]
fn a_capturing_stream_cannot_begin_again() {
    let mut model = Model::capturing(S, Global);
    model.record(E, S).unwrap();
    model.wait(U, E).unwrap();
    for stream in [S, U] {
        assert_eq!(model.begin(stream, Global), Err(CUresult::ILLEGAL_STATE));
        assert_eq!(model.status(stream), CaptureStatus::Active);
    }
    model.capture.unsafe_call(T).unwrap_err();
    for stream in [S, U] {
        assert_eq!(model.begin(stream, Global), Err(CUresult::ILLEGAL_STATE));
    }
}

/// 1.3 End: not capturing, also on the legacy stream: 401.
#[test]
fn end_on_a_stream_that_does_not_capture_is_401() {
    let mut model = Model::default();
    for stream in [S, LEGACY, non_blocking(20)] {
        assert_eq!(model.end(stream), Err(CUresult::ILLEGAL_STATE));
    }
}

/// 1.3 End: forked stream: 903, M [HT hipStreamEndCapture_old.cc:324].
#[test]
fn end_on_a_forked_stream_is_903() {
    let mut model = Model::capturing(S, Global);
    model.record(E, S).unwrap();
    model.wait(U, E).unwrap();
    assert_eq!(model.end(U), Err(CUresult::STREAM_CAPTURE_UNMATCHED));
    model.assert_invalidated(S);
}

/// 1.3 End: another thread: 908 unless RELAXED. D, M [HT hipStreamEndCapture.cc:57-117].
#[test]
fn end_from_another_thread_is_908_unless_relaxed() {
    for mode in MODES {
        let mut model = Model::capturing(S, mode);
        let ended = model.capture.end(&mut model.graphs, OTHER, S);
        if mode == Relaxed {
            assert!(ended.is_ok());
        } else {
            assert_eq!(ended, Err(CUresult::STREAM_CAPTURE_WRONG_THREAD));
            assert_eq!(model.status(S), CaptureStatus::None);
            assert_eq!(model.end(S), Err(CUresult::ILLEGAL_STATE));
        }
    }
}

/// 1.3 End: the order of the checks (M, H200, driver 580.159.04).
#[test]
fn end_checks_origin_then_invalidation_then_thread() {
    let mut model = Model::capturing(S, Global);
    model.record(E, S).unwrap();
    model.wait(U, E).unwrap();
    model.capture.unsafe_call(T).unwrap_err();
    assert_eq!(model.capture.end(&mut model.graphs, OTHER, U), Err(CUresult::STREAM_CAPTURE_UNMATCHED));
    assert_eq!(model.capture.end(&mut model.graphs, OTHER, S), Err(CUresult::STREAM_CAPTURE_INVALIDATED));
    assert_eq!(model.end(S), Err(CUresult::ILLEGAL_STATE), "901 has ended the capture");
}

/// 1.3 End: unjoined fork: 904, the capture ends, streams are reset. M [HT :905,919].
#[test]
fn an_unjoined_fork_is_904_and_ends_the_capture() {
    let mut model = Model::capturing(S, Global);
    model.node(S);
    model.record(E, S).unwrap();
    model.wait(U, E).unwrap();
    model.node(U);
    assert_eq!(model.end(S), Err(CUresult::STREAM_CAPTURE_UNJOINED));
    for stream in [S, U] {
        assert_eq!(model.status(stream), CaptureStatus::None);
        assert_eq!(model.enqueue(stream, fill(0)), Ok(None));
    }
    assert_eq!(model.end(S), Err(CUresult::ILLEGAL_STATE));
}

/// 1.3: the graph of a failed capture is gone, M cuda-python#2834, one that was the caller's too (M, H200,
/// driver 580.159.04).
#[test]
fn the_graph_of_a_failed_capture_is_destroyed() {
    let mut model = Model::capturing(S, Global);
    let (_, info) = model.capture.info(S).unwrap();
    let graph = info.unwrap().graph;
    model.capture.unsafe_call(T).unwrap_err();
    model.end(S).unwrap_err();
    assert_eq!(model.graphs.graph(graph).err(), Some(CUresult::INVALID_VALUE));

    let own = model.graphs.create();
    model.capture.begin_to_graph(&mut model.graphs, T, S, own, &[], Global).unwrap();
    model.capture.unsafe_call(T).unwrap_err();
    model.end(S).unwrap_err();
    assert_eq!(model.graphs.graph(own).err(), Some(CUresult::INVALID_VALUE));
    assert_eq!(model.graphs.destroy(own), Err(CUresult::INVALID_VALUE));
}

/// 1.3 End: origin destroyed (the entry point answers 709). Measured: the capture is over then.
#[test]
fn destroying_the_origin_ends_the_capture() {
    let mut model = Model::capturing(S, Global);
    model.record(E, S).unwrap();
    model.wait(U, E).unwrap();
    let graph = model.capture.info(U).unwrap().1.unwrap().graph;
    model.capture.stream_destroyed(S);
    assert_eq!(model.status(U), CaptureStatus::None);
    assert_eq!(model.capture.ongoing(), 0);
    model.begin(U, Global).unwrap();
    assert!(model.graphs.graph(graph).is_err(), "the graph goes with the capture");
}

/// 1.4 cuStreamDestroy(forked): joined is fine, unjoined is 904. M [HT 2026].
#[test]
fn a_destroyed_fork_still_has_to_be_joined() {
    for joined in [true, false] {
        let mut model = Model::capturing(S, Global);
        model.node(S);
        model.record(E, S).unwrap();
        model.wait(U, E).unwrap();
        model.node(U);
        model.record(F, U).unwrap();
        if joined {
            model.wait(S, F).unwrap();
        }
        model.capture.stream_destroyed(U);
        let expected = if joined { None } else { Some(CUresult::STREAM_CAPTURE_UNJOINED) };
        assert_eq!(model.end(S).err(), expected);
    }
}

/// 1.3: queries of the legacy stream beside a blocking capture: 906, not invalidated. D [h L17525].
#[test]
fn asking_the_legacy_stream_is_906_and_harmless() {
    let mut model = Model::capturing(S, Global);
    assert_eq!(model.capture.is_capturing(LEGACY), Err(CUresult::STREAM_CAPTURE_IMPLICIT));
    assert_eq!(model.capture.info(LEGACY).err(), Some(CUresult::STREAM_CAPTURE_IMPLICIT));
    model.assert_intact(S);
    let mut model = Model::capturing(non_blocking(20), Global);
    assert_eq!(model.capture.is_capturing(LEGACY), Ok(CaptureStatus::None));
    model.assert_intact(non_blocking(20));
}

/// 1.3 GetCaptureInfo: id, graph and dependencies while active, the status alone otherwise.
#[test]
fn info_names_the_sequence_the_graph_and_the_last_nodes() {
    let mut model = Model::default();
    assert!(matches!(model.capture.info(S), Ok((CaptureStatus::None, None))));
    let id = model.begin(S, Global).unwrap();
    let node = model.node(S);
    let (status, info) = model.capture.info(S).unwrap();
    let info = info.unwrap();
    assert_eq!((status, info.id, info.dependencies), (CaptureStatus::Active, id, &[node][..]));
    assert_eq!(info.edge_data, [EdgeData::FULL]);
    assert_eq!(model.graphs.node(node).unwrap().graph(), info.graph);
    model.capture.unsafe_call(T).unwrap_err();
    assert!(matches!(model.capture.info(S), Ok((CaptureStatus::Invalidated, None))));
}

/// 1.3: ids are unique over the life of the process.
#[test]
fn ids_are_never_repeated() {
    let mut model = Model::default();
    let ids: Vec<_> = (0..20)
        .map(|_| {
            let id = model.begin(S, Global).unwrap();
            model.end(S).unwrap();
            id
        })
        .collect();
    assert!(ids.is_sorted() && ids.windows(2).all(|pair| pair[0] != pair[1]));
}

/// 1.3: during the capture the graph may be used, but not destroyed or thinned out. Instantiating it
/// is an unsafe call (M, H200, driver 580.159.04: allowed in RELAXED mode).
#[test]
fn the_graph_under_capture_cannot_be_destroyed_or_thinned_out() {
    let mut model = Model::default();
    let graph = model.graphs.create();
    model.capture.begin_to_graph(&mut model.graphs, T, S, graph, &[], Global).unwrap();
    let node = model.node(S);
    // The codes: M, H200, driver 580.159.04.
    assert_eq!(model.graphs.destroy(graph), Err(CUresult::ILLEGAL_STATE));
    assert_eq!(model.graphs.destroy_node(node), Err(CUresult::ILLEGAL_STATE));
    assert!(model.graphs.add_node(graph, &[], fill(9), NodeInfo::default()).is_ok());
    model.end(S).unwrap();
    assert!(model.graphs.instantiate(graph, 0).is_ok());
    assert_eq!(model.graphs.destroy_node(node), Ok(()));
    assert_eq!(model.graphs.destroy(graph), Ok(()));
}

/// 1.3 UpdateCaptureDependencies: ADD, SET, and its errors. D [h L17613-17648].
#[test]
fn update_dependencies_adds_sets_and_excuses() {
    use DependencyUpdate::{Add, Set};
    let mut model = Model::default();
    assert_eq!(model.capture.update_dependencies(&model.graphs, S, &[], Add), Err(CUresult::ILLEGAL_STATE));
    model.begin(S, Global).unwrap();
    let first = model.node(S);
    let graph = model.graphs.node(first).unwrap().graph();
    let manual = model.graphs.add_node(graph, &[], NodeParams::Empty, NodeInfo::default()).unwrap();
    model.capture.update_dependencies(&model.graphs, S, &[full(manual)], Add).unwrap();
    model.capture.update_dependencies(&model.graphs, S, &[full(manual)], Add).unwrap();
    let joined = model.node(S);
    let froms = |model: &Model, node| -> Vec<u64> {
        model.graphs.dependencies(node).unwrap().into_iter().map(|(from, _, _)| from).collect()
    };
    assert_eq!(froms(&model, joined), [first, manual]);
    // `joined` leaves the set: it is a leaf that does not count.
    model.capture.update_dependencies(&model.graphs, S, &[full(first)], Set).unwrap();
    let last = model.node(S);
    assert_eq!(froms(&model, last), [first]);
    let foreign = model.graphs.create();
    let stranger = model.graphs.add_node(foreign, &[], NodeParams::Empty, NodeInfo::default()).unwrap();
    for node in [stranger, 0, 0xdead] {
        let refused = model.capture.update_dependencies(&model.graphs, S, &[full(node)], Add);
        assert_eq!(refused, Err(CUresult::INVALID_VALUE));
    }
    assert!(model.end(S).is_ok());
    assert_eq!(DependencyUpdate::from_raw(2), Err(CUresult::INVALID_VALUE));
}

/// 1.3 UpdateCaptureDependencies on an invalidated capture.
#[test]
fn update_dependencies_of_an_invalidated_capture_fails() {
    let mut model = Model::capturing(S, Global);
    model.capture.unsafe_call(T).unwrap_err();
    let refused = model.capture.update_dependencies(&model.graphs, S, &[], DependencyUpdate::Add);
    assert_eq!(refused, Err(CUresult::STREAM_CAPTURE_INVALIDATED));
}

/// 1.3 BeginCaptureToGraph: adds behind the given nodes. D [h L17382].
#[test]
fn capture_to_a_graph_adds_behind_its_nodes() {
    for mode in MODES {
        let mut model = Model::default();
        let graph = model.graphs.create();
        let root = model.graphs.add_node(graph, &[], fill(1), NodeInfo::default()).unwrap();
        model.capture.begin_to_graph(&mut model.graphs, T, S, graph, &[full(root)], mode).unwrap();
        let node = model.node(S);
        assert_eq!(model.end(S), Ok(graph));
        assert_eq!(model.edges(graph), [(0, 1)]);
        assert_eq!(model.graphs.node(node).unwrap().local_id(), 1);
    }
}

/// 1.3 BeginCaptureToGraph: an empty fork is not unjoined. M [HT hipStreamBeginCaptureToGraph.cc].
#[test]
fn an_empty_fork_is_joined() {
    let mut model = Model::default();
    let graph = model.graphs.create();
    model.capture.begin_to_graph(&mut model.graphs, T, S, graph, &[], Global).unwrap();
    model.record(E, S).unwrap();
    model.wait(U, E).unwrap();
    model.node(S);
    assert_eq!(model.end(S), Ok(graph));
}

/// 1.3 BeginCaptureToGraph: bad graphs and dependencies; the stream stays idle.
#[test]
fn capture_to_a_bad_graph_fails() {
    let mut model = Model::default();
    let (graph, other) = (model.graphs.create(), model.graphs.create());
    let stranger = model.graphs.add_node(other, &[], fill(1), NodeInfo::default()).unwrap();
    let own = model.graphs.add_node(graph, &[], fill(1), NodeInfo::default()).unwrap();
    let bad_edge = (own, EdgeData { to_port: 1, ..EdgeData::FULL });
    for (graph, dependencies) in [
        (0, vec![]),
        (0xdead, vec![]),
        (graph, vec![full(stranger)]),
        (graph, vec![full(own), full(own)]),
        (graph, vec![bad_edge]),
    ] {
        let begun = model.capture.begin_to_graph(&mut model.graphs, T, S, graph, &dependencies, Global);
        assert_eq!(begun, Err(CUresult::INVALID_VALUE));
        assert_eq!(model.status(S), CaptureStatus::None);
    }
    let begun = model.capture.begin_to_graph(&mut model.graphs, T, LEGACY, graph, &[], Global);
    assert_eq!(begun, Err(CUresult::STREAM_CAPTURE_UNSUPPORTED));
}

/// 1.3: captures of different threads are independent.
#[test]
fn captures_of_two_threads_do_not_meet() {
    let mut model = Model::capturing(S, ThreadLocal);
    model.capture.begin(&mut model.graphs, ThreadId(2), U, ThreadLocal).unwrap();
    model.node(S);
    model.node(U);
    let first = model.end(S).unwrap();
    let second = model.capture.end(&mut model.graphs, ThreadId(2), U).unwrap();
    assert_ne!(first, second);
    assert_eq!(model.graphs.graph(first).unwrap().len(), 1);
    assert_eq!(model.graphs.graph(second).unwrap().len(), 1);
}
