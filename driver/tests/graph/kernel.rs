//! Kernel nodes through the C ABI: parameters read back, changed and executed.

use std::ffi::{CString, c_uint, c_void};
use std::ops::Deref;
use std::ptr::{null, null_mut};

use crate::abi_support::{function, instantiate, load};
use graphproof_driver::abi::graph_types::*;
use graphproof_driver::abi::types::*;
use graphproof_driver::abi::*;

/// `store` writes `value` at `to[%tid.x]`; `twice` writes twice that.
const PTX: &str = r"
.version 8.0
.target sm_80
.address_size 64
.visible .entry store(.param .u64 to, .param .u8 tag, .param .u32 value)
{
    .reg .b32 %r<4>;
    .reg .b64 %rd<5>;
    ld.param.u64 %rd1, [to];
    ld.param.u32 %r1, [value];
    cvta.to.global.u64 %rd2, %rd1;
    mov.u32 %r2, %tid.x;
    mul.wide.u32 %rd3, %r2, 4;
    add.s64 %rd4, %rd2, %rd3;
    st.global.u32 [%rd4], %r1;
    ret;
}
.visible .entry twice(.param .u64 to, .param .u8 tag, .param .u32 value)
{
    .reg .b32 %r<4>;
    .reg .b64 %rd<5>;
    ld.param.u64 %rd1, [to];
    ld.param.u32 %r1, [value];
    add.s32 %r3, %r1, %r1;
    cvta.to.global.u64 %rd2, %rd1;
    mov.u32 %r2, %tid.x;
    mul.wide.u32 %rd3, %r2, 4;
    add.s64 %rd4, %rd2, %rd3;
    st.global.u32 [%rd4], %r3;
    ret;
}
";

struct Device {
    base: crate::abi_support::Device,
    module: CUmodule,
    store: CUfunction,
    twice: CUfunction,
}

impl Deref for Device {
    type Target = crate::abi_support::Device;

    fn deref(&self) -> &Self::Target {
        &self.base
    }
}

/// Arguments of both kernels.
struct Arguments {
    to: CUdeviceptr,
    tag: u8,
    value: u32,
}

impl Arguments {
    fn pointers(&mut self) -> [*mut c_void; 3] {
        [(&raw mut self.to).cast(), (&raw mut self.tag).cast(), (&raw mut self.value).cast()]
    }
}

impl Device {
    fn new() -> Self {
        let base = crate::abi_support::Device::new();
        let module = load(PTX);
        Self { base, module, store: function(module, c"store"), twice: function(module, c"twice") }
    }

    fn launch(&self, value: u32) {
        let mut arguments = Arguments { to: self.buffer, tag: 7, value };
        let mut pointers = arguments.pointers();
        ok!(cuLaunchKernel(self.store, 1, 1, 1, 4, 1, 1, 0, self.stream, pointers.as_mut_ptr(), null_mut()));
    }

    fn capture(&self, values: &[u32]) -> (CUgraph, Vec<CUgraphNode>) {
        let mut graph = CUgraph::NULL;
        ok!(cuStreamBeginCapture_v2(self.stream, 0));
        values.iter().for_each(|&value| self.launch(value));
        ok!(cuStreamEndCapture(self.stream, &mut graph));
        let mut count = values.len();
        let mut nodes = vec![CUgraphNode::NULL; count];
        ok!(cuGraphGetNodes(graph, nodes.as_mut_ptr(), &mut count));
        assert_eq!(count, values.len());
        (graph, nodes)
    }

    fn run(&self, exec: CUgraphExec) -> [u32; 4] {
        self.base.run(exec);
        let words = self.words();
        [words[0], words[1], words[2], words[3]]
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        ok!(cuModuleUnload(self.module));
    }
}

fn params_of(node: CUgraphNode) -> CUDA_KERNEL_NODE_PARAMS {
    let mut params = std::mem::MaybeUninit::uninit();
    ok!(cuGraphKernelNodeGetParams_v2(node, params.as_mut_ptr()));
    // SAFETY: the call succeeded.
    unsafe { params.assume_init() }
}

#[test]
fn captured_parameters_read_back_and_stay_in_place() {
    let device = Device::new();
    let (graph, nodes) = device.capture(&[5, 6]);
    let params = params_of(nodes[1]);
    assert_eq!(params.launch.func, device.store);
    assert_eq!((params.launch.gridDimX, params.launch.blockDimX), (1, 4));
    assert!(params.launch.extra.is_null());
    // SAFETY: three parameters, owned by the node.
    let (to, tag, value) = unsafe {
        let pointers = params.launch.kernelParams;
        (*(*pointers).cast::<u64>(), *(*pointers.add(1)).cast::<u8>(), *(*pointers.add(2)).cast::<u32>())
    };
    assert_eq!((to, tag, value), (device.buffer, 7, 6));
    assert_eq!(params_of(nodes[1]).launch.kernelParams, params.launch.kernelParams);
    let exec = instantiate(graph);
    assert_eq!(device.run(exec), [6; 4]);
    ok!(cuGraphExecDestroy(exec));
    ok!(cuGraphDestroy(graph));
}

#[test]
fn parameters_of_nodes_and_of_executable_graphs_change_apart() {
    let device = Device::new();
    let (graph, nodes) = device.capture(&[5]);
    let exec = instantiate(graph);
    let mut arguments = Arguments { to: device.buffer, tag: 0, value: 20 };
    let mut pointers = arguments.pointers();
    let mut params = params_of(nodes[0]);
    params.launch.kernelParams = pointers.as_mut_ptr();
    ok!(cuGraphExecKernelNodeSetParams_v2(exec, nodes[0], &params));
    assert_eq!(device.run(exec), [20; 4]);
    params.launch.func = device.twice;
    ok!(cuGraphExecKernelNodeSetParams_v2(exec, nodes[0], &params));
    assert_eq!(device.run(exec), [40; 4]);
    // The node itself did not change.
    let second = instantiate(graph);
    assert_eq!(device.run(second), [5; 4]);
    ok!(cuGraphKernelNodeSetParams_v2(nodes[0], &params));
    assert_eq!(device.run(second), [5; 4]);
    let mut info = CUgraphExecUpdateResultInfo::default();
    ok!(cuGraphExecUpdate_v2(second, graph, &mut info));
    assert_eq!(device.run(second), [40; 4]);
    for exec in [exec, second] {
        ok!(cuGraphExecDestroy(exec));
    }
    ok!(cuGraphDestroy(graph));
}

#[test]
fn one_buffer_of_parameters_reads_back_as_one_buffer() {
    let device = Device::new();
    let (mut graph, mut node) = (CUgraph::NULL, CUgraphNode::NULL);
    ok!(cuGraphCreate(&mut graph, 0));
    let mut bytes = [0u8; 16];
    bytes[..8].copy_from_slice(&device.buffer.to_ne_bytes());
    bytes[12..].copy_from_slice(&33u32.to_ne_bytes());
    let mut size = bytes.len();
    let mut extra: [*mut c_void; 5] = [
        std::ptr::without_provenance_mut(1),
        bytes.as_mut_ptr().cast(),
        std::ptr::without_provenance_mut(2),
        (&raw mut size).cast(),
        null_mut(),
    ];
    let mut params = CUDA_KERNEL_NODE_PARAMS {
        launch: CUDA_KERNEL_NODE_PARAMS_v1 {
            func: device.store,
            gridDimX: 1,
            gridDimY: 1,
            gridDimZ: 1,
            blockDimX: 4,
            blockDimY: 1,
            blockDimZ: 1,
            sharedMemBytes: 0,
            kernelParams: null_mut(),
            extra: extra.as_mut_ptr(),
        },
        kern: CUkernel::NULL,
        ctx: CUcontext::NULL,
    };
    ok!(cuGraphAddKernelNode_v2(&mut node, graph, null(), 0, &params));
    let read = params_of(node);
    assert!(read.launch.kernelParams.is_null());
    // SAFETY: a list of both names, owned by the node.
    let (name, copy, length) = unsafe {
        let list = read.launch.extra;
        (*list as usize, *(*list.add(1)).cast::<[u8; 16]>(), *(*list.add(3)).cast::<usize>())
    };
    assert_eq!((name, copy, length), (1, bytes, 16));
    let exec = instantiate(graph);
    assert_eq!(device.run(exec), [33; 4]);
    // Refused: both forms at once, no parameters, an impossible block, a wrong function.
    let mut arguments = Arguments { to: device.buffer, tag: 0, value: 1 };
    let mut pointers = arguments.pointers();
    params.launch.kernelParams = pointers.as_mut_ptr();
    let mut other = CUgraphNode::NULL;
    assert_eq!(code!(cuGraphAddKernelNode_v2(&mut other, graph, null(), 0, &params)), CUresult::INVALID_VALUE);
    params.launch.extra = null_mut();
    let wide =
        CUDA_KERNEL_NODE_PARAMS { launch: CUDA_KERNEL_NODE_PARAMS_v1 { blockDimX: 2048, ..params.launch }, ..params };
    assert_eq!(code!(cuGraphAddKernelNode_v2(&mut other, graph, null(), 0, &wide)), CUresult::INVALID_VALUE);
    let none = CUDA_KERNEL_NODE_PARAMS_v1 { kernelParams: null_mut(), ..params.launch };
    assert_eq!(code!(cuGraphAddKernelNode(&mut other, graph, null(), 0, &none)), CUresult::INVALID_VALUE);
    let wrong = CUDA_KERNEL_NODE_PARAMS_v1 { func: CUfunction(77), ..params.launch };
    assert_eq!(code!(cuGraphAddKernelNode(&mut other, graph, null(), 0, &wrong)), CUresult::INVALID_HANDLE);
    ok!(cuGraphAddKernelNode(&mut other, graph, &node, 1, &params.launch));
    ok!(cuGraphExecDestroy(exec));
    ok!(cuGraphDestroy(graph));
}

#[test]
fn attributes_are_kept_copied_and_compared() {
    const COOPERATIVE: c_uint = 2;
    const PRIORITY: c_uint = 8;
    let device = Device::new();
    let (graph, nodes) = device.capture(&[1, 2]);
    let mut value = CUlaunchAttributeValue::default();
    ok!(cuGraphKernelNodeGetAttribute(nodes[0], PRIORITY, &mut value));
    assert_eq!(value.0[..4], [0; 4]);
    let mut exec = CUgraphExec::NULL;
    ok!(cuGraphInstantiateWithFlags(&mut exec, graph, 8));
    value.0[0] = 3;
    ok!(cuGraphKernelNodeSetAttribute(nodes[0], PRIORITY, &value));
    let mut info = CUgraphExecUpdateResultInfo::default();
    assert_eq!(code!(cuGraphExecUpdate_v2(exec, graph, &mut info)), CUresult::GRAPH_EXEC_UPDATE_FAILURE);
    assert_eq!((info.result, info.errorNode), (8, nodes[0]));
    ok!(cuGraphKernelNodeSetAttribute(nodes[0], COOPERATIVE, &value));
    ok!(cuGraphKernelNodeCopyAttributes(nodes[1], nodes[0]));
    for attribute in [PRIORITY, COOPERATIVE] {
        ok!(cuGraphKernelNodeGetAttribute(nodes[1], attribute, &mut value));
        assert_ne!(value.0[..4], [0; 4]);
    }
    assert_eq!(code!(cuGraphKernelNodeGetAttribute(nodes[0], 99, &mut value)), CUresult::INVALID_VALUE);
    assert_eq!(code!(cuGraphKernelNodeGetAttribute(nodes[0], 13, &mut value)), CUresult::NOT_SUPPORTED);
    ok!(cuGraphExecDestroy(exec));
    ok!(cuGraphDestroy(graph));
}

#[test]
fn dot_output_names_kernels_and_parameters() {
    let device = Device::new();
    let (graph, _) = device.capture(&[0x1234]);
    let path = std::env::temp_dir().join(format!("graphproof-dot-{}.dot", std::process::id()));
    let name = CString::new(path.to_str().unwrap()).unwrap();
    ok!(cuGraphDebugDotPrint(graph, name.as_ptr(), 1 << 2));
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    assert!(text.contains("store") && text.contains("value: 0x00001234"), "{text}");
    let missing = c"/no/such/folder/graph.dot";
    assert_eq!(code!(cuGraphDebugDotPrint(graph, missing.as_ptr(), 0)), CUresult::OPERATING_SYSTEM);
    ok!(cuGraphDestroy(graph));
}

#[test]
fn a_thousand_kernels_replay_in_order() {
    let device = Device::new();
    let values: Vec<u32> = (1..=1000).collect();
    let (graph, _) = device.capture(&values);
    let exec = instantiate(graph);
    for _ in 0..3 {
        assert_eq!(device.run(exec), [1000; 4]);
    }
    ok!(cuGraphExecDestroy(exec));
    ok!(cuGraphDestroy(graph));
}
