//! The mode rule and the calls that conflict in every mode: capture-semantics 1.2 and 1.4.
use super::support::*;
use graphproof_driver::abi::CUresult;
use graphproof_driver::software::SyncTarget;
use graphproof_driver::software::ThreadId;
use graphproof_driver::software::capture::CaptureMode::{self, Global, Relaxed, ThreadLocal};
use graphproof_driver::software::capture::{CaptureStatus, Placement};

fn is_unsafe(name: &str) -> bool {
    graphproof_api::find(name).expect("a function of the table").class.is_unsafe()
}

const UNSUPPORTED: Result<(), CUresult> = Err(CUresult::STREAM_CAPTURE_UNSUPPORTED);

/// 1.2: for each capture mode, thread mode and thread, whether an unsafe call is refused.
#[test]
fn the_unsafe_call_rule_by_capture_mode_thread_mode_and_thread() {
    let refused = |capture: CaptureMode, thread: CaptureMode, same: bool| match (thread, same) {
        (Relaxed, _) => false,
        (_, true) => capture != Relaxed,
        (Global, false) => capture == Global,
        (ThreadLocal, false) => false,
    };
    for capture in MODES {
        for thread_mode in MODES {
            for (caller, same) in [(T, true), (OTHER, false)] {
                let mut model = Model::capturing(S, capture);
                model.capture.exchange_mode(caller, thread_mode as u32);
                let expected = if refused(capture, thread_mode, same) { UNSUPPORTED } else { Ok(()) };
                let case = format!("capture {capture:?}, thread {thread_mode:?}, same thread {same}");
                assert_eq!(model.capture.unsafe_call(caller), expected, "{case}");
                match expected {
                    Err(_) => model.assert_invalidated(S),
                    Ok(()) => model.assert_intact(S),
                }
            }
        }
    }
}

/// 1.2, M [HT StreamSync_OngoingCapture_MThread]: every victim is invalidated, and only victims.
#[test]
fn an_unsafe_call_invalidates_every_victim_and_no_other_capture() {
    let mut model = Model::capturing(S, Global);
    model.begin(U, Relaxed).unwrap();
    model.capture.begin(&mut model.graphs, OTHER, V, Global).unwrap();
    let third = stream(13);
    model.capture.begin(&mut model.graphs, OTHER, third, ThreadLocal).unwrap();
    assert_eq!(model.capture.unsafe_call(T), UNSUPPORTED);
    assert_eq!(model.status(S), CaptureStatus::Invalidated);
    assert_eq!(model.status(U), CaptureStatus::Active);
    assert_eq!(model.status(V), CaptureStatus::Invalidated);
    assert_eq!(model.status(third), CaptureStatus::Active);
}

/// 1.2: the exchange gives back the previous mode; GLOBAL is the default of every thread.
#[test]
fn exchange_returns_the_previous_mode_of_that_thread() {
    let mut model = Model::default();
    let mut exchange = |thread, mode| model.capture.exchange_mode(thread, mode);
    assert_eq!(exchange(T, Relaxed as u32), Global as u32);
    assert_eq!(exchange(T, ThreadLocal as u32), Relaxed as u32);
    assert_eq!(exchange(OTHER, Global as u32), Global as u32);
    assert_eq!(exchange(T, Global as u32), ThreadLocal as u32);
    // Measured: a value that is no mode is taken, and handed back.
    assert_eq!(exchange(T, 3), Global as u32);
    assert_eq!(exchange(T, Global as u32), 3);
    assert_eq!(CaptureMode::from_raw(3), Err(CUresult::INVALID_VALUE));
}

/// 1.4: the calls that the M and D rows name, with GLOBAL, THREAD_LOCAL and RELAXED in the rule above.
#[test]
fn unsafe_names_are_those_of_the_table() {
    for name in [
        "cuMemAlloc_v2",
        "cuMemFree_v2",
        "cuMemHostAlloc",
        "cuMemFreeHost",
        "cuMemHostRegister_v2",
        "cuMemPoolGetAttribute",
        "cuMemPoolSetAttribute",
        "cuModuleUnload",
        "cuGraphInstantiateWithFlags",
        "cuGraphExecDestroy",
        "cuProfilerStart",
        "cuCtxSetCacheConfig",
    ] {
        assert!(is_unsafe(name), "{name}");
    }
    // cuModuleLoad*: allowed since 12.3 (M warp#564).
    for name in ["cuModuleLoadData", "cuModuleLoad", "cuLaunchKernel", "cuGraphDestroy", "cuEventElapsedTime"] {
        assert!(!is_unsafe(name), "{name}");
    }
}

/// 1.4, M [HT :813-818]: synchronising or querying the capturing stream, in every mode, from every
/// thread.
#[test]
fn sync_of_the_capturing_stream_conflicts_in_every_mode() {
    for mode in MODES {
        for thread in [T, OTHER] {
            for kind in [S, non_blocking(20), per_thread(21)] {
                let mut model = Model::capturing(kind, mode);
                model.capture.exchange_mode(thread, Relaxed as u32);
                assert_eq!(model.capture.sync_call(thread, SyncTarget::Stream(kind)), UNSUPPORTED);
                model.assert_invalidated(kind);
            }
        }
    }
}

/// 1.4, M [HT :820], D [h L7069]: synchronising the context.
#[test]
fn sync_of_the_context_invalidates_all_its_captures() {
    for mode in MODES {
        let mut model = Model::capturing(S, mode);
        model.capture.begin(&mut model.graphs, OTHER, non_blocking(20), mode).unwrap();
        let third = ThreadId(3);
        model.capture.exchange_mode(third, Relaxed as u32);
        assert_eq!(model.capture.sync_call(third, SyncTarget::Context(CONTEXT)), UNSUPPORTED);
        model.assert_invalidated(S);
        assert_eq!(model.status(non_blocking(20)), CaptureStatus::Invalidated);
    }
    let mut model = Model::capturing(S, Relaxed);
    let elsewhere = graphproof_driver::software::ContextId(0xc1);
    assert_eq!(model.capture.sync_call(T, SyncTarget::Context(elsewhere)), Ok(()));
    model.assert_intact(S);
}

/// 1.4, M [HT :822-829]: a captured event, in every mode.
#[test]
fn sync_of_a_captured_event_is_907_in_every_mode() {
    for mode in MODES {
        let mut model = Model::capturing(S, mode);
        model.record(E, S).unwrap();
        model.capture.exchange_mode(OTHER, Relaxed as u32);
        assert_eq!(model.capture.sync_call(OTHER, SyncTarget::Event(E)), Err(CUresult::CAPTURED_EVENT));
        model.assert_invalidated(S);
        // Measured: the event is of no use until it is recorded again.
        assert_eq!(model.capture.sync_call(T, SyncTarget::Event(E)), Err(CUresult::INVALID_VALUE));
        assert_eq!(model.record(E, S), Ok(Placement::Eager));
        assert_eq!(model.capture.sync_call(T, SyncTarget::Event(E)), Ok(()));
    }
}

/// 1.4, M [HTN _old.cc:871-876], [DLG]: an event recorded before the capture is an unsafe call.
#[test]
fn sync_of_an_event_from_before_the_capture_is_an_unsafe_call() {
    for (mode, expected) in [(Global, UNSUPPORTED), (ThreadLocal, UNSUPPORTED), (Relaxed, Ok(()))] {
        let mut model = Model::default();
        model.record(E, S).unwrap();
        model.begin(S, mode).unwrap();
        assert_eq!(model.capture.sync_call(T, SyncTarget::Event(E)), expected, "{mode:?}");
    }
}

/// 1.4, M [HT :1281-1460]: an unrelated stream, from the same and from another thread.
#[test]
fn sync_of_an_unrelated_stream_is_an_unsafe_call() {
    for (mode, same, other) in
        [(Global, UNSUPPORTED, UNSUPPORTED), (ThreadLocal, UNSUPPORTED, Ok(())), (Relaxed, Ok(()), Ok(()))]
    {
        for (thread, expected) in [(T, same), (OTHER, other)] {
            let mut model = Model::capturing(S, mode);
            assert_eq!(model.capture.sync_call(thread, SyncTarget::Stream(U)), expected, "{mode:?}");
            match expected {
                Err(_) => model.assert_invalidated(S),
                Ok(()) => model.assert_intact(S),
            }
        }
    }
}

/// 1.4: synchronous copies. Blocking stream: 906 in every mode (M, D [PG]).
#[test]
fn a_synchronous_copy_beside_a_blocking_capture_is_906() {
    for mode in MODES {
        for stream in [S, per_thread(21)] {
            let mut model = Model::capturing(stream, mode);
            let expected = Err(CUresult::STREAM_CAPTURE_IMPLICIT);
            assert_eq!(model.capture.name_stream(LEGACY), expected, "{mode:?}");
            model.assert_invalidated(stream);
        }
    }
}

/// 1.10 a, measured: synchronous copies beside a non-blocking capture just run.
#[test]
fn a_synchronous_copy_beside_a_non_blocking_capture_runs() {
    for mode in MODES {
        let mut model = Model::capturing(non_blocking(20), mode);
        assert_eq!(model.capture.name_stream(LEGACY), Ok(()), "{mode:?}");
        model.assert_intact(non_blocking(20));
    }
}

/// Measured: the elapsed time of a captured event is 907, in every mode, and the capture goes on.
#[test]
fn the_elapsed_time_of_a_captured_event_is_907_and_harmless() {
    for mode in MODES {
        let mut model = Model::capturing(S, mode);
        model.record(E, S).unwrap();
        assert_eq!(model.capture.elapsed_call(E), Err(CUresult::CAPTURED_EVENT));
        assert_eq!(model.capture.elapsed_call(F), Ok(()));
        model.assert_intact(S);
    }
}

/// Measured: a wait that names no event invalidates the capture of its stream.
#[test]
fn a_wait_for_no_event_invalidates() {
    let mut model = Model::capturing(S, Global);
    model.capture.refused_wait(U);
    assert_eq!(model.status(S), CaptureStatus::Active);
    model.capture.refused_wait(S);
    model.assert_invalidated(S);
}

/// 1.4, D [PG], M: work on the legacy stream.
#[test]
fn work_on_the_legacy_stream_is_906_beside_a_blocking_capture_only() {
    for mode in MODES {
        for stream in [S, per_thread(21)] {
            let mut model = Model::capturing(stream, mode);
            assert_eq!(model.enqueue(LEGACY, fill(1)), Err(CUresult::STREAM_CAPTURE_IMPLICIT));
            model.assert_invalidated(stream);
        }
        let mut model = Model::capturing(non_blocking(20), mode);
        assert_eq!(model.enqueue(LEGACY, fill(1)), Ok(None), "runs now, absent from the graph");
        let graph = model.end(non_blocking(20)).unwrap();
        assert!(model.graphs.graph(graph).unwrap().is_empty());
    }
}

/// 1.4: a blocking stream that joined a non-blocking capture counts too.
#[test]
fn a_blocking_fork_makes_the_legacy_stream_unusable() {
    let origin = non_blocking(20);
    let mut model = Model::capturing(origin, Relaxed);
    model.record(E, origin).unwrap();
    model.wait(U, E).unwrap();
    assert_eq!(model.enqueue(LEGACY, fill(1)), Err(CUresult::STREAM_CAPTURE_IMPLICIT));
    model.assert_invalidated(origin);
}

/// 1.4: the legacy stream of another context is not concerned.
#[test]
fn the_legacy_stream_of_another_context_is_free() {
    let mut model = Model::capturing(S, Global);
    let context = graphproof_driver::software::ContextId(0xc1);
    let legacy = graphproof_driver::software::StreamId { key: 2, context, ..LEGACY };
    assert_eq!(model.enqueue(legacy, fill(1)), Ok(None));
    model.assert_intact(S);
}

/// 1.4, D [PG]: an unrelated stream that does not capture.
#[test]
fn work_on_an_unrelated_stream_runs_now() {
    for mode in MODES {
        let mut model = Model::capturing(S, mode);
        assert_eq!(model.enqueue(U, fill(1)), Ok(None));
        assert_eq!(model.enqueue(non_blocking(20), fill(1)), Ok(None));
        model.assert_intact(S);
    }
}

/// Measured: stream-ordered allocation and free. On the legacy stream 906 beside a blocking capture,
/// in every mode, from any thread; elsewhere an unsafe call.
#[test]
fn stream_ordered_allocation_is_unsafe_outside_the_capture() {
    for mode in MODES {
        for (thread, same) in [(T, true), (OTHER, false)] {
            let mut model = Model::capturing(S, mode);
            let refused = Err(CUresult::STREAM_CAPTURE_IMPLICIT);
            assert_eq!(model.capture.name_stream(LEGACY), refused, "{mode:?}");
            model.assert_invalidated(S);
            for stream in [LEGACY, V] {
                let origin = non_blocking(20);
                let mut model = Model::capturing(origin, mode);
                let refused = mode == Global || (mode == ThreadLocal && same);
                let answer = model.capture.classify_stream_ordered(thread, stream);
                assert_eq!(answer.is_err(), refused, "{mode:?}, {stream:?}");
                let captured = model.capture.classify_stream_ordered(thread, origin);
                assert_eq!(matches!(captured, Ok(Placement::Captured(_))), !refused, "{mode:?}");
            }
        }
    }
}

/// 1.4, D [h L17210], [PG]: cuStreamAddCallback, cuStreamAttachMemAsync.
#[test]
fn callbacks_and_attachments_cannot_be_captured() {
    for mode in MODES {
        let mut model = Model::capturing(S, mode);
        assert_eq!(model.capture.classify_uncapturable(U), Ok(()));
        assert_eq!(model.capture.classify_uncapturable(S), Err(CUresult::STREAM_CAPTURE_UNSUPPORTED));
        model.assert_invalidated(S);
    }
}

/// 1.3, invalidation rule: after the first failure all work is 901 until the end. Measured: what the
/// stream could not bear anyway stays 900, and its events are of no use.
#[test]
fn after_invalidation_every_use_is_901_until_the_end() {
    let mut model = Model::capturing(S, Global);
    model.node(S);
    model.record(E, S).unwrap();
    model.wait(U, E).unwrap();
    model.capture.unsafe_call(T).unwrap_err();
    let invalidated = CUresult::STREAM_CAPTURE_INVALIDATED;
    for stream in [S, U] {
        assert_eq!(model.enqueue(stream, fill(1)), Err(invalidated));
        assert_eq!(model.record(F, stream), Err(invalidated));
        assert_eq!(model.wait(stream, E), Err(invalidated));
        let unsupported = Err(CUresult::STREAM_CAPTURE_UNSUPPORTED);
        assert_eq!(model.capture.sync_call(T, SyncTarget::Stream(stream)), unsupported);
        assert_eq!(model.capture.classify_uncapturable(stream), unsupported);
        assert_eq!(model.capture.property_call(stream), Err(invalidated));
        assert_eq!(model.capture.sync_call(T, SyncTarget::Event(E)), Err(CUresult::INVALID_VALUE));
        assert_eq!(model.capture.elapsed_call(E), Err(CUresult::INVALID_VALUE));
        assert_eq!(model.status(stream), CaptureStatus::Invalidated);
    }
    assert_eq!(model.end(S), Err(invalidated));
    for stream in [S, U] {
        assert_eq!(model.status(stream), CaptureStatus::None);
        assert_eq!(model.enqueue(stream, fill(1)), Ok(None));
    }
}
