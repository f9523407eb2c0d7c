//! Capture through the C ABI, on the software device.

use std::ffi::c_void;
use std::ptr::{null, null_mut};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::abi_support::{Device, GLOBAL, INVALID, THREAD_LOCAL, instantiate, nodes};
use graphproof_driver::abi::graph_types::*;
use graphproof_driver::abi::types::*;
use graphproof_driver::abi::*;

#[test]
fn the_first_failure_is_seen_and_the_end_says_invalidated() {
    let device = Device::new();
    device.begin();
    assert_eq!(code!(cuStreamSynchronize(device.stream)), CUresult::STREAM_CAPTURE_UNSUPPORTED);
    assert_eq!(code!(cuMemsetD32Async(device.buffer, 1, 1, device.stream)), CUresult::STREAM_CAPTURE_INVALIDATED);
    let mut graph = CUgraph(5);
    assert_eq!(code!(cuStreamEndCapture(device.stream, &mut graph)), CUresult::STREAM_CAPTURE_INVALIDATED);
    assert_eq!(graph, CUgraph::NULL);
    device.begin();
    let mut pointer = 0;
    assert_eq!(code!(cuMemAlloc_v2(&mut pointer, 4)), CUresult::STREAM_CAPTURE_UNSUPPORTED);
    assert_eq!(code!(cuStreamEndCapture(device.stream, &mut graph)), CUresult::STREAM_CAPTURE_INVALIDATED);
    device.begin();
    assert_eq!(code!(cuMemsetD32Async(device.buffer, 1, 1, CUstream::NULL)), CUresult::STREAM_CAPTURE_IMPLICIT);
    assert_eq!(code!(cuStreamEndCapture(device.stream, &mut graph)), CUresult::STREAM_CAPTURE_INVALIDATED);
}

#[test]
fn destroyed_streams_answer_709() {
    let _device = Device::new();
    let mut stream = CUstream::NULL;
    ok!(cuStreamCreate(&mut stream, 0));
    ok!(cuStreamDestroy_v2(stream));
    let (mut graph, mut status) = (CUgraph::NULL, 0);
    let destroyed = CUresult::CONTEXT_IS_DESTROYED;
    assert_eq!(code!(cuStreamBeginCapture_v2(stream, GLOBAL)), destroyed);
    assert_eq!(code!(cuStreamEndCapture(stream, &mut graph)), destroyed);
    assert_eq!(code!(cuStreamIsCapturing(stream, &mut status)), destroyed);
}

#[test]
fn capture_info_lends_its_arrays_and_refuses_lossy_queries() {
    let device = Device::new();
    device.begin();
    device.fill(0, 1);
    let (mut status, mut id, mut graph, mut count) = (0, 0, CUgraph::NULL, 0);
    let (mut dependencies, mut data) = (null(), null());
    ok!(cuStreamGetCaptureInfo_v2(device.stream, &mut status, &mut id, &mut graph, &mut dependencies, &mut count));
    assert_eq!((status, count), (1, 1));
    assert_ne!((id, graph), (0, CUgraph::NULL));
    // SAFETY: the array is lent until the next call on the stream.
    let last = unsafe { *dependencies };
    assert_eq!(nodes(graph), [last]);
    // An annotation that the older call cannot show.
    let annotated = CUgraphEdgeData { kind: 0, from_port: 2, ..Default::default() };
    let mut again = [last];
    ok!(cuStreamUpdateCaptureDependencies_v2(device.stream, again.as_mut_ptr(), &annotated, 1, 1));
    assert_eq!(
        code!(cuStreamGetCaptureInfo_v2(
            device.stream,
            &mut status,
            null_mut(),
            null_mut(),
            &mut dependencies,
            &mut count
        )),
        CUresult::LOSSY_QUERY
    );
    ok!(cuStreamGetCaptureInfo_v3(
        device.stream,
        &mut status,
        null_mut(),
        null_mut(),
        &mut dependencies,
        &mut data,
        &mut count
    ));
    // SAFETY: as above.
    assert_eq!(unsafe { *data }, annotated);
    assert_eq!(
        code!(cuStreamGetCaptureInfo_v3(
            device.stream,
            &mut status,
            null_mut(),
            null_mut(),
            null_mut(),
            &mut data,
            &mut count
        )),
        INVALID
    );
    ok!(cuStreamGetCaptureInfo(device.stream, &mut status, &mut id));
    ok!(cuGraphDestroy(device.end()));
}

#[test]
fn captured_allocations_are_graph_memory() {
    let device = Device::new();
    let mut pointer = 0;
    device.begin();
    ok!(cuMemAllocAsync(&mut pointer, 1024, device.stream));
    ok!(cuMemsetD32Async(pointer, 0x55, 4, device.stream));
    ok!(cuMemcpyDtoDAsync_v2(device.buffer, pointer, 16, device.stream));
    ok!(cuMemFreeAsync(pointer, device.stream));
    let graph = device.end();
    let exec = instantiate(graph);
    let mut second = CUgraphExec::NULL;
    assert_eq!(code!(cuGraphInstantiateWithFlags(&mut second, graph, 0)), CUresult::NOT_SUPPORTED);
    for _ in 0..3 {
        device.run(exec);
        assert_eq!(device.words()[..5], [0x55, 0x55, 0x55, 0x55, 0]);
    }
    assert_eq!(code!(cuMemFree_v2(pointer)), INVALID, "the graph frees it");
    ok!(cuGraphExecDestroy(exec));
    ok!(cuGraphDestroy(graph));

    // An allocation that the graph does not free: live until it is freed.
    device.begin();
    ok!(cuMemAllocAsync(&mut pointer, 1024, device.stream));
    let graph = device.end();
    let exec = instantiate(graph);
    device.run(exec);
    assert_eq!(code!(cuGraphLaunch(exec, device.stream)), INVALID);
    ok!(cuMemsetD32_v2(pointer, 1, 4));
    let mut used = 0u64;
    ok!(cuDeviceGetGraphMemAttribute(0, 0, (&raw mut used).cast()));
    assert!(used >= 1024);
    ok!(cuMemFreeAsync(pointer, device.stream));
    device.run(exec);
    ok!(cuMemFree_v2(pointer));
    ok!(cuGraphExecDestroy(exec));
    let mut exec = CUgraphExec::NULL;
    ok!(cuGraphInstantiateWithFlags(&mut exec, graph, 1));
    device.run(exec);
    device.run(exec);
    ok!(cuGraphExecDestroy(exec));
    ok!(cuGraphDestroy(graph));
    ok!(cuMemsetD32_v2(pointer, 1, 4));
    ok!(cuMemFree_v2(pointer));
    assert_ne!(code!(cuMemFree_v2(pointer)), CUresult::SUCCESS);
    ok!(cuDeviceGraphMemTrim(0));
}

static ASKED: AtomicU32 = AtomicU32::new(0);

unsafe extern "C" fn recaptured(
    answer: *mut c_void,
    _: u64,
    original: *const c_void,
    new: *const c_void,
    status: u32,
) -> CUresult {
    // SAFETY: both are node parameters, as the type of the callback says.
    let (original, new) = unsafe { (&*original.cast::<CUgraphNodeParams>(), &*new.cast::<CUgraphNodeParams>()) };
    assert_eq!((original.type_, new.type_, status), (2, 2, 0));
    // The value of the fill.
    ASKED.store((original.member[2] as u32) << 16 | new.member[2] as u32, Ordering::SeqCst);
    // A call from within: the driver lock is free.
    let mut mode = 0;
    ok!(cuThreadExchangeStreamCaptureMode(&mut mode));
    ok!(cuThreadExchangeStreamCaptureMode(&mut mode));
    CUresult(answer as u32)
}

#[test]
fn a_recapture_asks_about_what_changed() {
    let device = Device::new();
    device.begin();
    device.fill(0, 1);
    device.fill(1, 2);
    let graph = device.end();
    let begin = |answer: u32| {
        ok!(cuStreamBeginRecaptureToGraph(
            device.stream,
            THREAD_LOCAL,
            graph,
            Some(recaptured),
            answer as usize as *mut c_void
        ));
    };
    begin(0);
    device.fill(0, 1);
    assert_eq!(ASKED.load(Ordering::SeqCst), 0);
    device.fill(1, 9);
    assert_eq!(ASKED.load(Ordering::SeqCst), 2 << 16 | 9);
    assert_eq!(device.end(), graph);
    let exec = instantiate(graph);
    device.run(exec);
    assert_eq!(device.words()[..2], [1, 9]);
    ok!(cuGraphExecDestroy(exec));
    begin(1);
    device.fill(0, 1);
    assert_eq!(code!(cuMemsetD32Async(device.buffer + 4, 3, 1, device.stream)), CUresult::GRAPH_RECAPTURE_FAILURE);
    let mut none = CUgraph::NULL;
    assert_eq!(code!(cuStreamEndCapture(device.stream, &mut none)), CUresult::STREAM_CAPTURE_INVALIDATED);
    ok!(cuGraphDestroy(graph));
}

#[test]
fn external_events_become_nodes() {
    let device = Device::new();
    let mut event = CUevent::NULL;
    ok!(cuEventCreate(&mut event, 0));
    assert_eq!(code!(cuEventRecordWithFlags(event, device.stream, 1)), CUresult::ILLEGAL_STATE, "outside a capture");
    device.begin();
    ok!(cuEventRecordWithFlags(event, device.stream, 1));
    ok!(cuStreamWaitEvent(device.stream, event, 1));
    let graph = device.end();
    let found = nodes(graph);
    let (mut read, mut kind) = (CUevent::NULL, 0);
    ok!(cuGraphEventRecordNodeGetEvent(found[0], &mut read));
    assert_eq!(read, event);
    ok!(cuGraphNodeGetType(found[1], &mut kind));
    assert_eq!(kind, 6);
    assert_eq!(code!(cuGraphEventRecordNodeGetEvent(found[1], &mut read)), INVALID);
    let exec = instantiate(graph);
    device.run(exec);
    ok!(cuEventSynchronize(event));
    ok!(cuGraphExecDestroy(exec));
    ok!(cuGraphDestroy(graph));
    ok!(cuEventDestroy_v2(event));
}
