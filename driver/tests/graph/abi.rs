//! Graphs through the C ABI, on the software device.

use std::ffi::c_void;
use std::ptr::{null, null_mut};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::abi_support::{Device, GLOBAL, INVALID, WORDS, instantiate, nodes};
use graphproof_driver::abi::graph_types::*;
use graphproof_driver::abi::types::*;
use graphproof_driver::abi::*;

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
