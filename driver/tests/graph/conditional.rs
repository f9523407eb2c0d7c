//! Conditional nodes through the C ABI: values from defaults, and from kernels that set them.

use std::ffi::{CStr, c_uint, c_void};
use std::ops::Deref;
use std::ptr::{null, null_mut};

use crate::abi_support::{INVALID, THREAD_LOCAL, function, instantiate, load};
use graphproof_driver::abi::graph_types::*;
use graphproof_driver::abi::types::*;
use graphproof_driver::abi::*;
use graphproof_driver::control::last_fault;

/// `conditional.cu` as NVRTC 12.8 compiles it with `--relocatable-device-code=true`.
const PTX: &str = include_str!("../nvrtc/conditional80.ptx");
const IF: u64 = 0;
const WHILE: u64 = 1;
const SWITCH: u64 = 2;
const ASSIGN_DEFAULT: c_uint = 1;
/// Word of the buffer that the kernels read, and `count_down` changes.
const VALUE: usize = 32;

struct Device {
    base: crate::abi_support::Device,
    module: CUmodule,
    graph: CUgraph,
}

impl Deref for Device {
    type Target = crate::abi_support::Device;

    fn deref(&self) -> &Self::Target {
        &self.base
    }
}

impl Device {
    fn new() -> Self {
        let (base, mut graph) = (crate::abi_support::Device::new(), CUgraph::NULL);
        ok!(cuGraphCreate(&mut graph, 0));
        Self { base, module: load(PTX), graph }
    }

    fn handle(&self, default: c_uint, flags: c_uint) -> u64 {
        let mut handle = 0;
        ok!(cuGraphConditionalHandleCreate(&mut handle, self.graph, CUcontext::NULL, default, flags));
        handle
    }

    /// Captures what `work` puts on the stream into `graph`, behind `after`.
    fn capture(&self, graph: CUgraph, after: &[CUgraphNode], work: impl FnOnce()) {
        ok!(cuStreamBeginCaptureToGraph(self.stream, graph, after.as_ptr(), null(), after.len(), THREAD_LOCAL));
        work();
        assert_eq!(self.end(), graph);
    }

    /// Launches `kernel(handle, &buffer[VALUE])`.
    fn launch(&self, kernel: &CStr, handle: u64) {
        let kernel = function(self.module, kernel);
        let (mut handle, mut word) = (handle, self.buffer + 4 * VALUE as u64);
        let mut pointers: [*mut c_void; 2] = [(&raw mut handle).cast(), (&raw mut word).cast()];
        ok!(cuLaunchKernel(kernel, 1, 1, 1, 64, 1, 1, 0, self.stream, pointers.as_mut_ptr(), null_mut()));
    }

    /// Adds a conditional node behind all nodes of the graph; its bodies.
    fn conditional(&self, graph: CUgraph, handle: u64, kind: u64, size: u64) -> Vec<CUgraph> {
        let after = crate::abi_support::nodes(graph);
        let mut params = CUgraphNodeParams { type_: 13, reserved0: [0; 3], member: [0; 29], reserved2: 0 };
        params.member[0] = handle;
        params.member[1] = size << 32 | kind;
        let mut node = CUgraphNode::NULL;
        ok!(cuGraphAddNode_v2(&mut node, graph, after.as_ptr(), null(), after.len(), &mut params));
        let bodies = params.member[2] as *const CUgraph;
        // SAFETY: the array belongs to the node and has one entry a body.
        (0..size as usize).map(|body| unsafe { *bodies.add(body) }).collect()
    }

    /// The first words after a launch that begins with `value` in the word that the kernels read.
    fn run_with(&self, exec: CUgraphExec, value: u32) -> [u32; 4] {
        ok!(cuMemsetD32_v2(self.buffer, 0, 4));
        ok!(cuMemsetD32_v2(self.buffer + 4 * VALUE as u64, value, 1));
        self.run(exec);
        let words = self.words();
        [words[0], words[1], words[2], words[3]]
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        ok!(cuGraphDestroy(self.graph));
        ok!(cuModuleUnload(self.module));
    }
}

#[test]
fn a_while_node_counts_down_on_the_device() {
    let device = Device::new();
    let handle = device.handle(1, ASSIGN_DEFAULT);
    let [body] = device.conditional(device.graph, handle, WHILE, 1)[..] else { panic!("one body") };
    device.capture(body, &[], || {
        device.launch(c"count_down", handle);
        // A ring of copies shows how often the body ran: each turn moves the words one place.
        for place in (0..3u64).rev() {
            let (to, from) = (device.buffer + 4 * (place + 1), device.buffer + 4 * place);
            ok!(cuMemcpyDtoDAsync_v2(to, from, 4, device.stream));
        }
        ok!(cuMemcpyDtoDAsync_v2(device.buffer, device.buffer + 4 * VALUE as u64, 4, device.stream));
    });
    let exec = instantiate(device.graph);
    // The default is given at each launch, although the last one left 0.
    for _ in 0..3 {
        assert_eq!(device.run_with(exec, 7), [0, 1, 2, 3]);
        assert_eq!(device.words()[VALUE], 0);
    }
    assert_eq!(device.run_with(exec, 1), [0; 4]);
    ok!(cuGraphExecDestroy(exec));
}

#[test]
fn an_if_node_takes_the_side_that_the_kernel_chose() {
    let device = Device::new();
    let handle = device.handle(1, ASSIGN_DEFAULT);
    device.capture(device.graph, &[], || device.launch(c"choose", handle));
    for (body, value) in device.conditional(device.graph, handle, IF, 2).into_iter().zip([10, 20]) {
        device.capture(body, &[], || device.fill(0, value));
    }
    let exec = instantiate(device.graph);
    assert_eq!(device.run_with(exec, 0)[0], 20);
    assert_eq!(device.run_with(exec, 5)[0], 10);
    assert_eq!(device.run_with(exec, 0)[0], 20);
    ok!(cuGraphExecDestroy(exec));
}

#[test]
fn a_switch_node_runs_the_body_with_the_number_that_the_kernel_chose() {
    let device = Device::new();
    let handle = device.handle(0, 0);
    device.capture(device.graph, &[], || device.launch(c"choose", handle));
    for (body, value) in device.conditional(device.graph, handle, SWITCH, 3).into_iter().zip([10, 20, 30]) {
        device.capture(body, &[], || device.fill(0, value));
    }
    let exec = instantiate(device.graph);
    for (value, expected) in [(1, 20), (0, 10), (2, 30), (3, 0), (u32::MAX, 0)] {
        assert_eq!(device.run_with(exec, value)[0], expected, "case {value}");
    }
    ok!(cuGraphExecDestroy(exec));
}

/// A body may hold another conditional node, and set the outer one's value.
#[test]
fn an_if_node_inside_a_while_node_ends_it() {
    let device = Device::new();
    let (outer, inner) = (device.handle(1, ASSIGN_DEFAULT), device.handle(0, ASSIGN_DEFAULT));
    let [body] = device.conditional(device.graph, outer, WHILE, 1)[..] else { panic!("one body") };
    device.capture(body, &[], || {
        device.launch(c"count_down", outer);
        device.launch(c"choose", inner);
    });
    let [then, otherwise] = device.conditional(body, inner, IF, 2)[..] else { panic!("two bodies") };
    device.capture(then, &[], || device.fill(1, 5));
    device.capture(otherwise, &[], || device.fill(2, 6));
    let exec = instantiate(device.graph);
    assert_eq!(device.run_with(exec, 3)[..3], [0, 5, 6]);
    assert_eq!(device.run_with(exec, 1)[..3], [0, 0, 6]);
    ok!(cuGraphExecDestroy(exec));
}

/// Each launch begins with the default, whatever a kernel set in the last one.
#[test]
fn bodies_run_by_their_default() {
    let device = Device::new();
    for default in [0, 1] {
        let handle = device.handle(default, ASSIGN_DEFAULT);
        for (body, value) in device.conditional(device.graph, handle, IF, 2).into_iter().zip([10, 20]) {
            device.capture(body, &[], || device.fill(default as usize, value + default));
        }
    }
    let exec = instantiate(device.graph);
    assert_eq!(device.run_with(exec, 0)[..2], [20, 11]);
    ok!(cuGraphExecDestroy(exec));
}

/// The kernels of the graph that an update comes from pass that graph's handle.
#[test]
fn an_updated_graph_knows_the_handle_of_the_new_graph() {
    let device = Device::new();
    let mut other = CUgraph::NULL;
    ok!(cuGraphCreate(&mut other, 0));
    let original = device.graph;
    let fill = |graph: CUgraph, offset: u32| {
        let mut handle = 0;
        ok!(cuGraphConditionalHandleCreate(&mut handle, graph, CUcontext::NULL, 1, ASSIGN_DEFAULT));
        device.capture(graph, &[], || device.launch(c"choose", handle));
        for (body, value) in device.conditional(graph, handle, IF, 2).into_iter().zip([10, 20]) {
            device.capture(body, &[], || device.fill(0, value + offset));
        }
    };
    fill(original, 0);
    fill(other, 1);
    let exec = instantiate(original);
    assert_eq!(device.run_with(exec, 0)[0], 20);
    ok!(cuGraphExecUpdate_v2(exec, other, &mut CUgraphExecUpdateResultInfo::default()));
    assert_eq!(device.run_with(exec, 0)[0], 21);
    assert_eq!(device.run_with(exec, 1)[0], 11);
    ok!(cuGraphExecDestroy(exec));
    ok!(cuGraphDestroy(other));
}

/// Inferred: NVIDIA does not say what happens. Here the context is in error, and the fault says why.
#[test]
fn a_handle_that_the_launched_graph_does_not_have_is_a_fault() {
    let device = Device::new();
    let foreign = device.handle(0, 0);
    let text = |stream: CUstream| {
        assert_eq!(code!(cuStreamSynchronize(stream)), CUresult::LAUNCH_FAILED);
        last_fault().map(|fault| fault.explanation).unwrap_or_default()
    };
    for (handle, in_graph) in [(foreign, true), (0, true), (0xdead_beef, true), (foreign, false)] {
        // A context of its own: the fault stays with it.
        let (mut context, mut stream) = (CUcontext::NULL, CUstream::NULL);
        ok!(cuCtxCreate_v2(&mut context, 0, 0));
        ok!(cuStreamCreate(&mut stream, 1));
        let mut word = 0;
        ok!(cuMemAlloc_v2(&mut word, 4));
        ok!(cuMemsetD32_v2(word, 1, 1));
        let module = load(PTX);
        let (kernel, mut graph, mut exec) = (function(module, c"choose"), CUgraph::NULL, CUgraphExec::NULL);
        let (mut argument, mut own) = (handle, 0);
        let mut pointers: [*mut c_void; 2] = [(&raw mut argument).cast(), (&raw mut word).cast()];
        if in_graph {
            ok!(cuGraphCreate(&mut graph, 0));
            ok!(cuGraphConditionalHandleCreate(&mut own, graph, context, 0, ASSIGN_DEFAULT));
            device.conditional(graph, own, IF, 1);
            ok!(cuStreamBeginCaptureToGraph(stream, graph, null(), null(), 0, THREAD_LOCAL));
        }
        ok!(cuLaunchKernel(kernel, 1, 1, 1, 32, 1, 1, 0, stream, pointers.as_mut_ptr(), null_mut()));
        let found = if in_graph {
            ok!(cuStreamEndCapture(stream, &mut graph));
            ok!(cuGraphInstantiateWithFlags(&mut exec, graph, 0));
            ok!(cuGraphLaunch(exec, stream));
            text(stream)
        } else {
            text(stream)
        };
        let expected = if in_graph { "is none of the graph that is launched" } else { "outside a launch of a graph" };
        assert!(found.contains(expected) && found.contains(&format!("{handle:#x}")), "{found}");
        ok!(cuCtxDestroy_v2(context));
        if in_graph {
            ok!(cuGraphExecDestroy(exec));
            ok!(cuGraphDestroy(graph));
        }
        ok!(cuCtxSetCurrent(device.context));
    }
    // The handle was never used by a node of its own graph.
    let mut none = CUgraphExec::NULL;
    assert_eq!(code!(cuGraphInstantiateWithFlags(&mut none, device.graph, 0)), INVALID);
}
