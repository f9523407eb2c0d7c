//! Events of whole contexts and of green contexts, through the C ABI.

use std::ptr::null;

use crate::abi_support::{Device, GLOBAL, Gate, INVALID};
use graphproof_driver::abi::types::*;
use graphproof_driver::abi::*;

fn stream() -> CUstream {
    let mut stream = CUstream::NULL;
    ok!(cuStreamCreate(&mut stream, 1));
    stream
}

fn event() -> CUevent {
    let mut event = CUevent::NULL;
    ok!(cuEventCreate(&mut event, 0));
    event
}

/// A green context with a stream.
fn green() -> (u64, CUstream) {
    let mut resource = std::mem::MaybeUninit::uninit();
    let (mut description, mut green, mut stream) = (0, 0, CUstream::NULL);
    ok!(cuDeviceGetDevResource(0, resource.as_mut_ptr(), 1));
    ok!(cuDevResourceGenerateDesc(&mut description, resource.as_ptr(), 1));
    ok!(cuGreenCtxCreate(&mut green, description, 0, 1));
    ok!(cuGreenCtxStreamCreate(&mut stream, green, 1, 0));
    (green, stream)
}

#[test]
fn an_event_of_a_context_waits_for_all_of_its_streams() {
    let device = Device::new();
    static GATE: Gate = Gate::new();
    let (held, early, late) = (stream(), event(), event());
    ok!(cuCtxRecordEvent(device.context, early));
    ok!(cuEventSynchronize(early));
    GATE.hold(held);
    ok!(cuCtxRecordEvent(device.context, late));
    assert_eq!(code!(cuEventQuery(late)), CUresult::NOT_READY);
    ok!(cuEventQuery(early));
    GATE.open();
    ok!(cuEventSynchronize(late));
    let mut milliseconds = -1.0;
    ok!(cuEventElapsedTime_v2(&mut milliseconds, early, late));
    assert!(milliseconds >= 0.0);
}

#[test]
fn a_context_that_waits_holds_later_work_of_every_stream() {
    let device = Device::new();
    static GATE: Gate = Gate::new();
    let mut other = CUcontext::NULL;
    ok!(cuCtxCreate_v2(&mut other, 0, 0));
    let (held, marked) = (stream(), event());
    GATE.hold(held);
    ok!(cuEventRecord(marked, held));
    ok!(cuCtxSetCurrent(device.context));
    let (a, b) = (stream(), stream());
    ok!(cuMemsetD32Async(device.buffer, 1, 1, a));
    ok!(cuStreamSynchronize(a));
    // The event may be another context's.
    ok!(cuCtxWaitEvent(device.context, marked));
    for stream in [a, b, device.stream] {
        ok!(cuMemsetD32Async(device.buffer, 2, 1, stream));
        assert_eq!(code!(cuStreamQuery(stream)), CUresult::NOT_READY);
    }
    GATE.open();
    ok!(cuCtxSynchronize());
    assert_eq!(device.words()[0], 2);
    assert_eq!(code!(cuCtxRecordEvent(device.context, marked)), CUresult::INVALID_HANDLE, "of another context");
    ok!(cuCtxDestroy_v2(other));
}

#[test]
fn a_synchronous_copy_waits_too() {
    let device = Device::new();
    static GATE: Gate = Gate::new();
    let (held, marked) = (stream(), event());
    GATE.hold(held);
    ok!(cuEventRecord(marked, held));
    ok!(cuCtxWaitEvent(device.context, marked));
    let context = device.context;
    let buffer = device.buffer;
    let instance = device.own.instance().clone();
    let copy = std::thread::spawn(move || {
        let _own = instance.enter();
        let value = 9u32;
        ok!(cuCtxSetCurrent(context));
        ok!(cuMemcpyHtoD_v2(buffer, &raw const value as u64, 4));
    });
    GATE.open();
    copy.join().unwrap();
    assert_eq!(device.words()[0], 9);
}

#[test]
fn a_green_context_is_a_set_of_streams_of_the_primary_context() {
    let device = Device::new();
    static GATE: Gate = Gate::new();
    let (green, inside) = green();
    let (mark, own) = (event(), event());
    let (mut context, mut found) = (CUcontext::NULL, 0);
    ok!(cuStreamGetCtx_v2(inside, &mut context, &mut found));
    assert_eq!((context, found), (device.context, green));
    ok!(cuStreamGetGreenCtx(device.stream, &mut found));
    assert_eq!(found, 0);
    // Work of the context outside the green context is none of its events' concern.
    GATE.hold(device.stream);
    ok!(cuEventRecord(mark, device.stream));
    ok!(cuMemsetD32Async(device.buffer, 4, 1, inside));
    ok!(cuGreenCtxRecordEvent(green, own));
    ok!(cuEventSynchronize(own));
    ok!(cuCtxRecordEvent(device.context, own));
    assert_eq!(code!(cuEventQuery(own)), CUresult::NOT_READY, "the context has both");
    // The green context waits; another stream does not.
    ok!(cuGreenCtxWaitEvent(green, mark));
    ok!(cuMemsetD32Async(device.buffer + 4, 5, 1, inside));
    assert_eq!(code!(cuStreamQuery(inside)), CUresult::NOT_READY);
    let free = stream();
    ok!(cuMemsetD32Async(device.buffer + 8, 6, 1, free));
    ok!(cuStreamSynchronize(free));
    GATE.open();
    ok!(cuCtxSynchronize());
    assert_eq!(device.words()[..3], [4, 5, 6]);
    ok!(cuStreamDestroy_v2(inside));
    ok!(cuGreenCtxDestroy(green));
    assert_eq!(code!(cuGreenCtxDestroy(green)), CUresult::CONTEXT_IS_DESTROYED);
}

#[test]
fn a_destroyed_green_context_leaves_its_streams_detached() {
    let device = Device::new();
    let (green, inside) = green();
    let mark = event();
    // Captures on several streams, and not on the green context's.
    ok!(cuStreamBeginCapture_v2(device.stream, GLOBAL));
    ok!(cuGreenCtxRecordEvent(green, mark));
    let mut graph = CUgraph::NULL;
    ok!(cuStreamEndCapture(device.stream, &mut graph));
    ok!(cuGraphDestroy(graph));
    ok!(cuStreamBeginCapture_v2(inside, GLOBAL));
    ok!(cuGreenCtxDestroy(green));
    let mut status = 0;
    let detached = CUresult::STREAM_DETACHED;
    assert_eq!(code!(cuStreamIsCapturing(inside, &mut status)), detached);
    assert_eq!(code!(cuMemsetD32Async(device.buffer, 1, 1, inside)), detached);
    assert_eq!(code!(cuStreamSynchronize(inside)), detached);
    ok!(cuStreamDestroy_v2(inside));
    // Nothing captures any more.
    ok!(cuCtxRecordEvent(device.context, mark));
}

#[test]
fn a_capture_is_in_the_way_and_wrong_handles_are_refused() {
    let device = Device::new();
    let (green, inside) = green();
    let (mark, captured) = (event(), event());
    let unsupported = CUresult::STREAM_CAPTURE_UNSUPPORTED;
    let mut graph = CUgraph::NULL;
    for (stream, refused) in [(device.stream, false), (inside, true)] {
        ok!(cuStreamBeginCapture_v2(stream, GLOBAL));
        let result = code!(cuGreenCtxRecordEvent(green, mark));
        assert_eq!(result == unsupported, refused);
        assert_eq!(code!(cuCtxRecordEvent(device.context, mark)), unsupported);
        assert_eq!(code!(cuStreamEndCapture(stream, &mut graph)), CUresult::STREAM_CAPTURE_INVALIDATED);
    }
    // The event of a capture, for a green context that has no part in it.
    ok!(cuStreamBeginCapture_v2(device.stream, GLOBAL));
    ok!(cuEventRecord(captured, device.stream));
    assert_eq!(code!(cuGreenCtxWaitEvent(green, captured)), unsupported);
    assert_eq!(code!(cuStreamEndCapture(device.stream, &mut graph)), CUresult::STREAM_CAPTURE_INVALIDATED);

    let invalid = CUresult::INVALID_CONTEXT;
    for wrong in [0, 1, device.context.0, u64::MAX] {
        assert_eq!(code!(cuGreenCtxRecordEvent(wrong, mark)), invalid);
        assert_eq!(code!(cuGreenCtxWaitEvent(wrong, mark)), invalid);
        assert_eq!(code!(cuGreenCtxDestroy(wrong)), invalid);
    }
    assert_eq!(code!(cuCtxRecordEvent(CUcontext::NULL, mark)), invalid);
    assert_eq!(code!(cuCtxWaitEvent(CUcontext(7), mark)), invalid);
    assert_eq!(code!(cuCtxWaitEvent(device.context, CUevent::NULL)), CUresult::INVALID_HANDLE);
    let (mut stream, mut description) = (CUstream::NULL, 0);
    assert_eq!(code!(cuGreenCtxStreamCreate(&mut stream, green, 0, 0)), INVALID, "only non-blocking streams");
    assert_eq!(code!(cuDevResourceGenerateDesc(&mut description, null(), 1)), INVALID);
    let mut resource = std::mem::MaybeUninit::uninit();
    assert_eq!(code!(cuDeviceGetDevResource(0, resource.as_mut_ptr(), 0)), CUresult::INVALID_RESOURCE_TYPE);
    ok!(cuGreenCtxDestroy(green));
    ok!(cuStreamDestroy_v2(inside));
}
