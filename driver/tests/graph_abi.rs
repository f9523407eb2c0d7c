//! Capture and graphs through the C ABI, on the software device.

use std::ffi::{c_uint, c_void};
use std::ptr::{null, null_mut};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use graphproof_driver::abi::graph_types::*;
use graphproof_driver::abi::types::*;
use graphproof_driver::abi::*;

const INVALID: CUresult = CUresult::INVALID_VALUE;
const GLOBAL: c_uint = 0;
const THREAD_LOCAL: c_uint = 1;

/// One test at a time: a GLOBAL capture forbids other threads' unsafe calls, as it should.
static ONE: Mutex<()> = Mutex::new(());

macro_rules! ok {
    ($call:expr) => {
        // SAFETY: valid arguments for what CUDA documents.
        assert_eq!(unsafe { $call }, CUresult::SUCCESS, stringify!($call))
    };
}

macro_rules! code {
    ($call:expr) => {
        // SAFETY: pointers are null or valid; handles may be anything.
        unsafe { $call }
    };
}

struct Device {
    _one: MutexGuard<'static, ()>,
    stream: CUstream,
    buffer: CUdeviceptr,
}

const WORDS: usize = 64;

impl Device {
    fn new() -> Self {
        let one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut context, mut stream, mut buffer) = (CUcontext::NULL, CUstream::NULL, 0);
        ok!(cuInit(0));
        ok!(cuDevicePrimaryCtxRetain(&mut context, 0));
        ok!(cuCtxSetCurrent(context));
        ok!(cuStreamCreate(&mut stream, 0));
        ok!(cuMemAlloc_v2(&mut buffer, WORDS * 4));
        ok!(cuMemsetD32_v2(buffer, 0, WORDS));
        Self { _one: one, stream, buffer }
    }

    fn begin(&self) {
        ok!(cuStreamBeginCapture_v2(self.stream, THREAD_LOCAL));
    }

    fn fill(&self, place: usize, value: u32) {
        ok!(cuMemsetD32Async(self.buffer + place as u64 * 4, value, 1, self.stream));
    }

    fn end(&self) -> CUgraph {
        let mut graph = CUgraph::NULL;
        ok!(cuStreamEndCapture(self.stream, &mut graph));
        graph
    }

    fn run(&self, exec: CUgraphExec) {
        ok!(cuGraphLaunch(exec, self.stream));
        ok!(cuStreamSynchronize(self.stream));
    }

    fn words(&self) -> [u32; WORDS] {
        let mut words = [0; WORDS];
        ok!(cuMemcpyDtoH_v2(words.as_mut_ptr() as u64, self.buffer, WORDS * 4));
        words
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        let mut graph = CUgraph::NULL;
        code!(cuStreamEndCapture(self.stream, &mut graph));
        ok!(cuStreamDestroy_v2(self.stream));
        ok!(cuMemFree_v2(self.buffer));
        ok!(cuDevicePrimaryCtxRelease_v2(0));
    }
}

fn instantiate(graph: CUgraph) -> CUgraphExec {
    let mut exec = CUgraphExec::NULL;
    ok!(cuGraphInstantiateWithFlags(&mut exec, graph, 0));
    exec
}

fn nodes(graph: CUgraph) -> Vec<CUgraphNode> {
    let mut count = 0;
    ok!(cuGraphGetNodes(graph, null_mut(), &mut count));
    let mut nodes = vec![CUgraphNode::NULL; count];
    ok!(cuGraphGetNodes(graph, nodes.as_mut_ptr(), &mut count));
    nodes
}

#[test]
fn a_captured_graph_replays() {
    let device = Device::new();
    device.begin();
    device.fill(0, 7);
    device.fill(1, 8);
    let mut status = 0;
    ok!(cuStreamIsCapturing(device.stream, &mut status));
    assert_eq!(status, 1);
    let graph = device.end();
    assert_eq!(device.words()[..2], [0, 0], "capturing executes nothing");
    let exec = instantiate(graph);
    for _ in 0..3 {
        device.run(exec);
        assert_eq!(device.words()[..3], [7, 8, 0]);
        ok!(cuMemsetD32_v2(device.buffer, 0, WORDS));
    }
    let found = nodes(graph);
    assert_eq!(found.len(), 2);
    let (mut from, mut to, mut count) = (CUgraphNode::NULL, CUgraphNode::NULL, 1);
    ok!(cuGraphGetEdges(graph, &mut from, &mut to, &mut count));
    assert_eq!((from, to, count), (found[0], found[1], 1));
    let mut params = CUDA_MEMSET_NODE_PARAMS::default();
    ok!(cuGraphMemsetNodeGetParams(found[1], &mut params));
    assert_eq!((params.dst, params.value, params.width, params.elementSize), (device.buffer + 4, 8, 1, 4));
    // Changing the executable graph changes the next launch, not the node.
    let mut context = CUcontext::NULL;
    ok!(cuCtxGetCurrent(&mut context));
    let changed = CUDA_MEMSET_NODE_PARAMS { value: 9, ..params };
    ok!(cuGraphExecMemsetNodeSetParams(exec, found[1], &changed, context));
    device.run(exec);
    assert_eq!(device.words()[..2], [7, 9]);
    ok!(cuGraphMemsetNodeGetParams(found[1], &mut params));
    assert_eq!(params.value, 8);
    ok!(cuGraphExecDestroy(exec));
    ok!(cuGraphDestroy(graph));
    assert_eq!(code!(cuGraphDestroy(graph)), INVALID);
    assert_eq!(code!(cuGraphLaunch(exec, device.stream)), INVALID);
}

#[test]
fn arrays_are_filled_up_to_their_size() {
    let device = Device::new();
    device.begin();
    device.fill(0, 1);
    device.fill(1, 2);
    let graph = device.end();
    let mut few = [CUgraphNode(1); 4];
    let mut count = 1;
    ok!(cuGraphGetNodes(graph, few.as_mut_ptr(), &mut count));
    assert_eq!((count, few[1]), (1, CUgraphNode(1)), "room for one");
    count = 4;
    ok!(cuGraphGetNodes(graph, few.as_mut_ptr(), &mut count));
    assert_eq!((count, few[2], few[3]), (2, CUgraphNode::NULL, CUgraphNode::NULL), "the rest is null");
    let (mut from, mut edge) = ([CUgraphNode::NULL; 1], [CUgraphEdgeData::default(); 1]);
    count = 1;
    assert_eq!(code!(cuGraphGetEdges(graph, from.as_mut_ptr(), null_mut(), &mut count)), INVALID);
    let ends = (null_mut(), null_mut());
    assert_eq!(code!(cuGraphGetEdges_v2(graph, ends.0, ends.1, edge.as_mut_ptr(), &mut count)), INVALID);
    ok!(cuGraphDestroy(graph));
}

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

static CALLS: AtomicU32 = AtomicU32::new(0);

unsafe extern "C" fn count(add: *mut c_void) {
    CALLS.fetch_add(add as u32, Ordering::SeqCst);
}

#[test]
fn graphs_are_built_by_hand_too() {
    let device = Device::new();
    let mut graph = CUgraph::NULL;
    let mut context = CUcontext::NULL;
    ok!(cuCtxGetCurrent(&mut context));
    ok!(cuGraphCreate(&mut graph, 0));
    assert_eq!(code!(cuGraphCreate(&mut graph, 1)), INVALID);
    let (mut a, mut b, mut c, mut d) = (CUgraphNode::NULL, CUgraphNode::NULL, CUgraphNode::NULL, CUgraphNode::NULL);
    let fill = CUDA_MEMSET_NODE_PARAMS { dst: device.buffer, value: 3, elementSize: 4, width: 4, height: 1, pitch: 0 };
    ok!(cuGraphAddMemsetNode(&mut a, graph, null(), 0, &fill, context));
    let copy = CUDA_MEMCPY3D {
        srcMemoryType: 2,
        srcDevice: device.buffer,
        dstMemoryType: 2,
        dstDevice: device.buffer + 64,
        WidthInBytes: 8,
        Height: 1,
        Depth: 1,
        ..Default::default()
    };
    ok!(cuGraphAddMemcpyNode(&mut b, graph, &a, 1, &copy, context));
    let host = CUDA_HOST_NODE_PARAMS { function: Some(count), userData: 5 as *mut c_void };
    ok!(cuGraphAddHostNode(&mut c, graph, &b, 1, &host));
    ok!(cuGraphAddEmptyNode(&mut d, graph, null(), 0));
    ok!(cuGraphAddDependencies(graph, &c, &d, 1));
    assert_eq!(code!(cuGraphAddDependencies(graph, &c, &d, 1)), INVALID);
    let exec = instantiate(graph);
    let before = CALLS.load(Ordering::SeqCst);
    device.run(exec);
    assert_eq!(CALLS.load(Ordering::SeqCst), before + 5);
    let words = device.words();
    assert_eq!((words[..5].to_vec(), words[16..19].to_vec()), (vec![3, 3, 3, 3, 0], vec![3, 3, 0]));
    // Any type through cuGraphNodeGetParams and back.
    for node in [a, b, c, d] {
        let mut params = CUgraphNodeParams { type_: 0, reserved0: [0; 3], member: [0; 29], reserved2: 0 };
        ok!(cuGraphNodeGetParams(node, &mut params));
        let mut kind = 99;
        ok!(cuGraphNodeGetType(node, &mut kind));
        assert_eq!(params.type_, kind);
        ok!(cuGraphNodeSetParams(node, &mut params));
        ok!(cuGraphExecNodeSetParams(exec, node, &mut params));
        params.member[28] = 1;
        assert_eq!(code!(cuGraphNodeSetParams(node, &mut params)), INVALID, "unused bytes must be zero");
    }
    let mut clone = CUgraph::NULL;
    ok!(cuGraphClone(&mut clone, graph));
    let mut info = CUgraphExecUpdateResultInfo::default();
    ok!(cuGraphExecUpdate_v2(exec, clone, &mut info));
    let mut extra = CUgraphNode::NULL;
    ok!(cuGraphAddEmptyNode(&mut extra, clone, null(), 0));
    assert_eq!(code!(cuGraphExecUpdate_v2(exec, clone, &mut info)), CUresult::GRAPH_EXEC_UPDATE_FAILURE);
    assert_eq!((info.result, info.errorNode), (2, CUgraphNode::NULL));
    ok!(cuGraphDestroy(clone));
    ok!(cuGraphExecDestroy(exec));
    ok!(cuGraphDestroy(graph));
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

#[test]
fn a_launch_cannot_be_captured_and_a_child_graph_runs() {
    let device = Device::new();
    device.begin();
    device.fill(0, 4);
    let inner = device.end();
    let child = instantiate(inner);
    let mut graph = CUgraph::NULL;
    device.begin();
    assert_eq!(code!(cuGraphLaunch(child, device.stream)), CUresult::STREAM_CAPTURE_UNSUPPORTED);
    assert_eq!(code!(cuStreamEndCapture(device.stream, &mut graph)), CUresult::STREAM_CAPTURE_INVALIDATED);
    device.begin();
    device.fill(1, 5);
    let graph = device.end();
    let mut added = CUgraphNode::NULL;
    ok!(cuGraphAddChildGraphNode(&mut added, graph, nodes(graph).as_ptr(), 1, inner));
    let exec = instantiate(graph);
    ok!(cuGraphExecDestroy(child));
    ok!(cuGraphDestroy(inner));
    device.run(exec);
    assert_eq!(device.words()[..2], [4, 5]);
    let node = nodes(graph)[1];
    let mut embedded = CUgraph::NULL;
    ok!(cuGraphChildGraphNodeGetGraph(node, &mut embedded));
    assert_eq!(nodes(embedded).len(), 1);
    assert_eq!(code!(cuGraphDestroy(embedded)), INVALID);
    ok!(cuGraphExecDestroy(exec));
    ok!(cuGraphDestroy(graph));
}

#[test]
fn conditional_bodies_run_by_their_default() {
    let device = Device::new();
    let mut graph = CUgraph::NULL;
    ok!(cuGraphCreate(&mut graph, 0));
    for default in [0, 1] {
        let mut handle = 0;
        ok!(cuGraphConditionalHandleCreate(&mut handle, graph, CUcontext::NULL, default, 1));
        let mut params = CUgraphNodeParams { type_: 13, reserved0: [0; 3], member: [0; 29], reserved2: 0 };
        // Handle; IF and two bodies.
        params.member[0] = handle;
        params.member[1] = 2 << 32;
        let mut node = CUgraphNode::NULL;
        ok!(cuGraphAddNode_v2(&mut node, graph, null(), null(), 0, &mut params));
        let bodies = params.member[2] as *const CUgraph;
        for (body, value) in [(0, 10), (1, 20)] {
            // SAFETY: the array belongs to the node.
            let body = unsafe { *bodies.add(body) };
            ok!(cuStreamBeginCaptureToGraph(device.stream, body, null(), null(), 0, THREAD_LOCAL));
            device.fill(default as usize, value + default);
            assert_eq!(device.end(), body);
        }
    }
    let exec = instantiate(graph);
    device.run(exec);
    assert_eq!(device.words()[..2], [20, 11]);
    ok!(cuGraphExecDestroy(exec));
    ok!(cuGraphDestroy(graph));
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

#[test]
fn wrong_handles_of_every_kind_are_refused() {
    let device = Device::new();
    device.begin();
    device.fill(0, 1);
    let graph = device.end();
    let node = nodes(graph)[0];
    let exec = instantiate(graph);
    let (mut out, mut count, mut id, mut wide) = (CUgraphNode::NULL, 0usize, 0u32, 0u64);
    let (mut params, mut other) = (CUDA_MEMSET_NODE_PARAMS::default(), CUgraph::NULL);
    let mut none = CUgraphExec::NULL;
    for wrong in [0, 1, 2, 0xdead_beef, u64::MAX, exec.0 + 1, device.stream.0, node.0 ^ 1 << 33] {
        let (g, n, e) = (CUgraph(wrong), CUgraphNode(wrong), CUgraphExec(wrong));
        let results = [
            code!(cuGraphDestroy(g)),
            code!(cuGraphClone(&mut other, g)),
            code!(cuGraphGetNodes(g, null_mut(), &mut count)),
            code!(cuGraphGetRootNodes(g, null_mut(), &mut count)),
            code!(cuGraphGetEdges(g, null_mut(), null_mut(), &mut count)),
            code!(cuGraphGetId(g, &mut id)),
            code!(cuGraphAddEmptyNode(&mut out, g, null(), 0)),
            code!(cuGraphAddEmptyNode(&mut out, graph, &n, 1)),
            code!(cuGraphAddChildGraphNode(&mut out, graph, null(), 0, g)),
            code!(cuGraphAddDependencies(graph, &n, &node, 1)),
            code!(cuGraphRemoveDependencies(graph, &node, &n, 1)),
            code!(cuGraphDestroyNode(n)),
            code!(cuGraphNodeGetType(n, &mut id)),
            code!(cuGraphNodeGetToolsId(n, &mut wide)),
            code!(cuGraphNodeGetContainingGraph(n, &mut other)),
            code!(cuGraphMemsetNodeGetParams(n, &mut params)),
            code!(cuGraphNodeFindInClone(&mut out, n, graph)),
            code!(cuGraphInstantiateWithFlags(&mut none, g, 0)),
            code!(cuGraphExecDestroy(e)),
            code!(cuGraphExecGetFlags(e, &mut wide)),
            code!(cuGraphLaunch(e, device.stream)),
            code!(cuGraphUpload(e, device.stream)),
            code!(cuGraphNodeSetEnabled(exec, n, 0)),
            code!(cuGraphNodeSetEnabled(e, node, 0)),
            code!(cuGraphExecUpdate_v2(exec, g, &mut CUgraphExecUpdateResultInfo::default())),
            code!(cuUserObjectRetain(CUuserObject(wrong), 1)),
            code!(cuGraphRetainUserObject(graph, CUuserObject(wrong), 1, 0)),
            code!(cuStreamBeginCaptureToGraph(device.stream, g, null(), null(), 0, GLOBAL)),
        ];
        assert_eq!(results, [INVALID; 28], "{wrong:#x}");
    }
    // Null outputs.
    let results = [
        code!(cuGraphCreate(null_mut(), 0)),
        code!(cuGraphGetNodes(graph, null_mut(), null_mut())),
        code!(cuGraphInstantiateWithFlags(null_mut(), graph, 0)),
        code!(cuGraphInstantiateWithParams(&mut none, graph, null_mut())),
        code!(cuStreamEndCapture(device.stream, null_mut())),
        code!(cuStreamIsCapturing(device.stream, null_mut())),
        code!(cuThreadExchangeStreamCaptureMode(null_mut())),
        code!(cuGraphAddMemsetNode(&mut out, graph, null(), 0, null(), CUcontext::NULL)),
        code!(cuGraphAddEmptyNode(&mut out, graph, null(), 3)),
        code!(cuGraphDebugDotPrint(graph, null(), 0)),
    ];
    assert_eq!(results, [INVALID; 10]);
    device.run(exec);
    ok!(cuGraphExecDestroy(exec));
    ok!(cuGraphDestroy(graph));
}
