//! Changing nodes of an executable graph.

use std::ffi::c_uint;

use super::args::{not_null, write};
use super::graph_node_params::keep_attributes;
use super::graph_params::{self as params, Described, Requested, given};
use super::graph_types::*;
use super::types::{CUDA_MEMCPY3D, CUcontext, CUevent, CUgraph, CUgraphExec, CUgraphNode, CUkernel};
use super::{CUresult, Cuda};
use crate::software::work::NodeParams;
use crate::software::{World, driver};

fn set(exec: CUgraphExec, node: CUgraphNode, make: impl FnOnce(&mut World) -> Cuda<Described>) -> Cuda {
    let mut world = driver().world();
    let (mut work, mut info) = make(&mut world)?;
    keep_attributes(&world, node, &mut work);
    if info.context == 0 {
        info.context = world.graphs.node(node.0)?.info().context;
    }
    world.graphs.exec_set_params(exec.0, node.0, work, info)
}

entry_points! {
    fn cuGraphExecKernelNodeSetParams(
        hGraphExec: CUgraphExec,
        hNode: CUgraphNode,
        nodeParams: *const CUDA_KERNEL_NODE_PARAMS_v1,
    ) {
        // SAFETY: the caller's parameters, here and below.
        let launch = unsafe { given(nodeParams) }?;
        let asked = CUDA_KERNEL_NODE_PARAMS { launch, kern: CUkernel::NULL, ctx: CUcontext::NULL };
        // SAFETY: as above.
        set(hGraphExec, hNode, |world| unsafe { params::kernel(world, &asked) })
    }

    fn cuGraphExecKernelNodeSetParams_v2(
        hGraphExec: CUgraphExec,
        hNode: CUgraphNode,
        nodeParams: *const CUDA_KERNEL_NODE_PARAMS,
    ) {
        // SAFETY: the caller's parameters, here and below.
        let asked = unsafe { given(nodeParams) }?;
        // SAFETY: as above.
        set(hGraphExec, hNode, |world| unsafe { params::kernel(world, &asked) })
    }

    fn cuGraphExecMemcpyNodeSetParams(
        hGraphExec: CUgraphExec,
        hNode: CUgraphNode,
        copyParams: *const CUDA_MEMCPY3D,
        ctx: CUcontext,
    ) {
        // SAFETY: the caller's pointer.
        let copy = unsafe { given(copyParams) }?;
        set(hGraphExec, hNode, |world| params::memcpy(world, copy, ctx))
    }

    fn cuGraphExecMemsetNodeSetParams(
        hGraphExec: CUgraphExec,
        hNode: CUgraphNode,
        memsetParams: *const CUDA_MEMSET_NODE_PARAMS,
        ctx: CUcontext,
    ) {
        // SAFETY: the caller's pointer.
        let fill = unsafe { given(memsetParams) }?;
        set(hGraphExec, hNode, |world| params::memset(world, &fill, ctx))
    }

    fn cuGraphExecHostNodeSetParams(
        hGraphExec: CUgraphExec,
        hNode: CUgraphNode,
        nodeParams: *const CUDA_HOST_NODE_PARAMS,
    ) {
        // SAFETY: the caller's pointer.
        let host = unsafe { given(nodeParams) }?;
        set(hGraphExec, hNode, |_| params::host(&host, 0, 0))
    }

    fn cuGraphExecChildGraphNodeSetParams(hGraphExec: CUgraphExec, hNode: CUgraphNode, childGraph: CUgraph) {
        driver().world().graphs.exec_set_child_graph(hGraphExec.0, hNode.0, childGraph.0)
    }

    fn cuGraphExecEventRecordNodeSetEvent(hGraphExec: CUgraphExec, hNode: CUgraphNode, event: CUevent) {
        set(hGraphExec, hNode, |world| Ok((NodeParams::EventRecord(params::event(world, event)?), Default::default())))
    }

    fn cuGraphExecEventWaitNodeSetEvent(hGraphExec: CUgraphExec, hNode: CUgraphNode, event: CUevent) {
        set(hGraphExec, hNode, |world| Ok((NodeParams::EventWait(params::event(world, event)?), Default::default())))
    }

    fn cuGraphExecBatchMemOpNodeSetParams(
        hGraphExec: CUgraphExec,
        hNode: CUgraphNode,
        nodeParams: *const CUDA_BATCH_MEM_OP_NODE_PARAMS,
    ) {
        // SAFETY: the caller's parameters, here and below.
        let batch = unsafe { given(nodeParams) }?;
        // SAFETY: as above.
        set(hGraphExec, hNode, |world| unsafe { params::batch(world, &batch) })
    }

    fn cuGraphExecNodeSetParams(hGraphExec: CUgraphExec, hNode: CUgraphNode, nodeParams: *mut CUgraphNodeParams) {
        // SAFETY: the caller's parameters, here and below.
        let asked = unsafe { given(nodeParams) }?;
        // SAFETY: as above.
        let requested = unsafe { params::node(&mut driver().world(), &asked) }?;
        match requested {
            Requested::Work(described) => set(hGraphExec, hNode, |_| Ok(*described)),
            Requested::ChildGraph(graph, _) => driver().world().graphs.exec_set_child_graph(hGraphExec.0, hNode.0, graph),
            // M (H200, driver 580.159.04) for memory nodes; D: a conditional's parameters are fixed.
            Requested::Allocation(..) | Requested::Conditional { .. } => Err(CUresult::INVALID_VALUE),
        }
    }

    fn cuGraphNodeSetEnabled(hGraphExec: CUgraphExec, hNode: CUgraphNode, isEnabled: c_uint) {
        driver().world().graphs.set_enabled(hGraphExec.0, hNode.0, isEnabled != 0)
    }

    fn cuGraphNodeGetEnabled(hGraphExec: CUgraphExec, hNode: CUgraphNode, isEnabled: *mut c_uint) {
        not_null(isEnabled)?;
        let enabled = driver().world().graphs.enabled(hGraphExec.0, hNode.0)?;
        // SAFETY: the caller's pointer.
        unsafe { write(isEnabled, c_uint::from(enabled)) }
    }
}
