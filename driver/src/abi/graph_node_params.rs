//! Reading and changing the parameters and attributes of nodes.

use std::ffi::c_uint;

use super::args::{not_null, write};
use super::graph_nodes::check_kernel_context;
use super::graph_params::{self as params, Described, Requested, given};
use super::graph_params_out as out;
use super::graph_types::*;
use super::types::{
    CUDA_MEMCPY3D, CUcontext, CUdeviceptr, CUevent, CUgraph, CUgraphNode, CUkernel, CUlaunchAttributeValue,
};
use super::{CUresult, Cuda};
use crate::software::graph::{NodeInfo, NodeType, NodeWork};
use crate::software::work::NodeParams;
use crate::software::{World, driver};

/// Reads the work of a node of that type.
fn work<R>(node: CUgraphNode, kind: NodeType, read: impl FnOnce(&NodeParams, &NodeInfo) -> Option<R>) -> Cuda<R> {
    let world = driver().world();
    let found = world.graphs.node_of(node.0, kind)?;
    match found.work() {
        NodeWork::Work(work) => read(work, found.info()).ok_or(CUresult::INVALID_VALUE),
        _ => Err(CUresult::INVALID_VALUE),
    }
}

/// Changes the work of a node. What has no place in the older structures stays as it was.
fn set(node: CUgraphNode, make: impl FnOnce(&mut World) -> Cuda<Described>) -> Cuda {
    let mut world = driver().world();
    let (mut work, info) = make(&mut world)?;
    keep_attributes(&world, node, &mut work);
    world.graphs.set_params(node.0, work, info)
}

/// New parameters of a kernel do not touch its attributes.
pub(super) fn keep_attributes(world: &World, node: CUgraphNode, work: &mut NodeParams) {
    if let NodeParams::Kernel(new) = work
        && let Ok(node) = world.graphs.node(node.0)
        && let NodeWork::Work(NodeParams::Kernel(old)) = node.work()
    {
        new.cooperative = old.cooperative;
        new.attributes = old.attributes.clone();
    }
}

fn context_of(node: CUgraphNode) -> Cuda<CUcontext> {
    Ok(CUcontext(driver().world().graphs.node(node.0)?.info().context))
}

fn kernel_params(node: CUgraphNode) -> Cuda<CUDA_KERNEL_NODE_PARAMS> {
    let mut world = driver().world();
    let NodeWork::Work(NodeParams::Kernel(kernel)) = world.graphs.node_of(node.0, NodeType::Kernel)?.work() else {
        return Err(CUresult::INVALID_VALUE);
    };
    let kernel = kernel.clone();
    let packed = world.graphs.node(node.0)?.info().packed;
    Ok(out::kernel_out(&kernel, world.graphs.parameter_addresses(node.0)?, packed))
}

fn set_event(node: CUgraphNode, event: CUevent, make: impl FnOnce(crate::software::EventId) -> NodeParams) -> Cuda {
    set(node, |world| {
        let info = world.graphs.node(node.0)?.info().clone();
        Ok((make(params::event(world, event)?), info))
    })
}

/// # Safety
/// `node_params` is null or valid for a read, with what its type points to.
unsafe fn set_any(node: CUgraphNode, node_params: *const CUgraphNodeParams) -> Cuda {
    // SAFETY: as above.
    let asked = unsafe { given(node_params) }?;
    let mut world = driver().world();
    if world.graphs.node(node.0)?.work().node_type() as u32 != asked.type_ {
        return Err(CUresult::INVALID_VALUE);
    }
    // SAFETY: as above.
    match unsafe { params::node(&mut world, &asked) }? {
        Requested::Work(described) => {
            let (mut work, info) = *described;
            keep_attributes(&world, node, &mut work);
            world.graphs.set_params(node.0, work, info)
        }
        Requested::Allocation(..) | Requested::ChildGraph(..) | Requested::Conditional { .. } => {
            Err(CUresult::NOT_SUPPORTED)
        }
    }
}

entry_points! {
    fn cuGraphKernelNodeGetParams(hNode: CUgraphNode, nodeParams: *mut CUDA_KERNEL_NODE_PARAMS_v1) {
        not_null(nodeParams)?;
        // SAFETY: the caller's pointer.
        unsafe { write(nodeParams, kernel_params(hNode)?.launch) }
    }

    fn cuGraphKernelNodeGetParams_v2(hNode: CUgraphNode, nodeParams: *mut CUDA_KERNEL_NODE_PARAMS) {
        not_null(nodeParams)?;
        // SAFETY: the caller's pointer.
        unsafe { write(nodeParams, kernel_params(hNode)?) }
    }

    fn cuGraphKernelNodeSetParams(hNode: CUgraphNode, nodeParams: *const CUDA_KERNEL_NODE_PARAMS_v1) {
        // SAFETY: the caller's parameters, here and below.
        let launch = unsafe { given(nodeParams) }?;
        let asked = CUDA_KERNEL_NODE_PARAMS { launch, kern: CUkernel::NULL, ctx: CUcontext::NULL };
        // SAFETY: as above.
        set(hNode, |world| unsafe { params::kernel(world, &asked) })
    }

    fn cuGraphKernelNodeSetParams_v2(hNode: CUgraphNode, nodeParams: *const CUDA_KERNEL_NODE_PARAMS) {
        // SAFETY: the caller's parameters, here and below.
        let asked = unsafe { given(nodeParams) }?;
        // SAFETY: as above.
        set(hNode, |world| unsafe { params::kernel(world, &asked) })
    }

    fn cuGraphMemcpyNodeGetParams(hNode: CUgraphNode, nodeParams: *mut CUDA_MEMCPY3D) {
        not_null(nodeParams)?;
        let found = work(hNode, NodeType::Memcpy, |work, _| match work {
            NodeParams::Memcpy(copy) => Some(CUDA_MEMCPY3D::from(&copy.params)),
            _ => None,
        })?;
        // SAFETY: the caller's pointer.
        unsafe { write(nodeParams, found) }
    }

    fn cuGraphMemcpyNodeSetParams(hNode: CUgraphNode, nodeParams: *const CUDA_MEMCPY3D) {
        // SAFETY: the caller's pointer.
        let copy = unsafe { given(nodeParams) }?;
        let context = context_of(hNode)?;
        set(hNode, |world| params::memcpy(world, copy, context))
    }

    fn cuGraphMemsetNodeGetParams(hNode: CUgraphNode, nodeParams: *mut CUDA_MEMSET_NODE_PARAMS) {
        not_null(nodeParams)?;
        let found = work(hNode, NodeType::Memset, |work, _| match work {
            NodeParams::Memset(fill) => Some(out::memset_out(fill)),
            _ => None,
        })?;
        // SAFETY: the caller's pointer.
        unsafe { write(nodeParams, found) }
    }

    fn cuGraphMemsetNodeSetParams(hNode: CUgraphNode, nodeParams: *const CUDA_MEMSET_NODE_PARAMS) {
        // SAFETY: the caller's pointer.
        let fill = unsafe { given(nodeParams) }?;
        let context = context_of(hNode)?;
        set(hNode, |world| params::memset(world, &fill, context))
    }

    fn cuGraphHostNodeGetParams(hNode: CUgraphNode, nodeParams: *mut CUDA_HOST_NODE_PARAMS) {
        not_null(nodeParams)?;
        let found = work(hNode, NodeType::Host, |work, _| match work {
            NodeParams::Host(host) => Some(out::host_out(host)),
            _ => None,
        })?;
        // SAFETY: the caller's pointer.
        unsafe { write(nodeParams, found) }
    }

    fn cuGraphHostNodeSetParams(hNode: CUgraphNode, nodeParams: *const CUDA_HOST_NODE_PARAMS) {
        // SAFETY: the caller's pointer.
        let host = unsafe { given(nodeParams) }?;
        let context = context_of(hNode)?;
        set(hNode, |_| params::host(&host, 0, context.0))
    }

    fn cuGraphChildGraphNodeGetGraph(hNode: CUgraphNode, phGraph: *mut CUgraph) {
        not_null(phGraph)?;
        let graph = match driver().world().graphs.node(hNode.0)?.work() {
            NodeWork::ChildGraph(graph) => *graph,
            _ => return Err(CUresult::INVALID_VALUE),
        };
        // SAFETY: the caller's pointer.
        unsafe { write(phGraph, CUgraph(graph)) }
    }

    fn cuGraphEventRecordNodeGetEvent(hNode: CUgraphNode, event_out: *mut CUevent) {
        not_null(event_out)?;
        let event = work(hNode, NodeType::EventRecord, |work, _| match work {
            NodeParams::EventRecord(event) => Some(event.0),
            _ => None,
        })?;
        // SAFETY: the caller's pointer.
        unsafe { write(event_out, CUevent(event)) }
    }

    fn cuGraphEventRecordNodeSetEvent(hNode: CUgraphNode, event: CUevent) {
        set_event(hNode, event, NodeParams::EventRecord)
    }

    fn cuGraphEventWaitNodeGetEvent(hNode: CUgraphNode, event_out: *mut CUevent) {
        not_null(event_out)?;
        let event = work(hNode, NodeType::WaitEvent, |work, _| match work {
            NodeParams::EventWait(event) => Some(event.0),
            _ => None,
        })?;
        // SAFETY: the caller's pointer.
        unsafe { write(event_out, CUevent(event)) }
    }

    fn cuGraphEventWaitNodeSetEvent(hNode: CUgraphNode, event: CUevent) {
        set_event(hNode, event, NodeParams::EventWait)
    }

    fn cuGraphBatchMemOpNodeGetParams(hNode: CUgraphNode, nodeParams_out: *mut CUDA_BATCH_MEM_OP_NODE_PARAMS) {
        not_null(nodeParams_out)?;
        let found = work(hNode, NodeType::BatchMemOp, |work, info| match work {
            NodeParams::BatchMemOp(operations) => Some(out::batch_out(operations, info)),
            _ => None,
        })?;
        // SAFETY: the caller's pointer.
        unsafe { write(nodeParams_out, found) }
    }

    fn cuGraphBatchMemOpNodeSetParams(hNode: CUgraphNode, nodeParams: *const CUDA_BATCH_MEM_OP_NODE_PARAMS) {
        // SAFETY: the caller's parameters, here and below.
        let batch = unsafe { given(nodeParams) }?;
        // SAFETY: as above.
        set(hNode, |world| unsafe { params::batch(world, &batch) })
    }

    fn cuGraphMemAllocNodeGetParams(hNode: CUgraphNode, params_out: *mut CUDA_MEM_ALLOC_NODE_PARAMS) {
        not_null(params_out)?;
        let found = work(hNode, NodeType::MemAlloc, |work, info| match work {
            NodeParams::MemAlloc { address, size, device, .. } => {
                Some(out::allocation_out(*address, *size, *device, info))
            }
            _ => None,
        })?;
        // SAFETY: the caller's pointer.
        unsafe { write(params_out, found) }
    }

    fn cuGraphMemFreeNodeGetParams(hNode: CUgraphNode, dptr_out: *mut CUdeviceptr) {
        not_null(dptr_out)?;
        let found = work(hNode, NodeType::MemFree, |work, _| match work {
            NodeParams::MemFree { address } => Some(*address),
            _ => None,
        })?;
        // SAFETY: the caller's pointer.
        unsafe { write(dptr_out, found) }
    }

    fn cuGraphNodeGetParams(hNode: CUgraphNode, nodeParams: *mut CUgraphNodeParams) {
        not_null(nodeParams)?;
        let found = out::describe(&mut driver().world().graphs, hNode.0)?;
        // SAFETY: the caller's pointer.
        unsafe { write(nodeParams, found) }
    }

    fn cuGraphNodeSetParams(hNode: CUgraphNode, nodeParams: *mut CUgraphNodeParams) {
        // SAFETY: the caller's parameters.
        unsafe { set_any(hNode, nodeParams) }
    }

    fn cuGraphNodeSetParams_v2(hNode: CUgraphNode, nodeParams: *mut CUgraphNodeParams) {
        // SAFETY: the caller's parameters.
        unsafe {
            check_kernel_context(nodeParams)?;
            set_any(hNode, nodeParams)
        }
    }

    fn cuGraphKernelNodeCopyAttributes(dst: CUgraphNode, src: CUgraphNode) {
        driver().world().graphs.copy_attributes(dst.0, src.0)
    }

    fn cuGraphKernelNodeGetAttribute(hNode: CUgraphNode, attr: c_uint, value_out: *mut CUlaunchAttributeValue) {
        not_null(value_out)?;
        let value = driver().world().graphs.attribute(hNode.0, attr)?.into();
        // SAFETY: the caller's pointer.
        unsafe { write(value_out, value) }
    }

    fn cuGraphKernelNodeSetAttribute(hNode: CUgraphNode, attr: c_uint, value: *const CUlaunchAttributeValue) {
        // SAFETY: the caller's pointer.
        let value = unsafe { given(value) }?;
        driver().world().graphs.set_attribute(hNode.0, attr, value.into())
    }
}
