//! Node parameters from the model to C.

use std::ffi::c_int;

use super::Cuda;
use super::graph_types::*;
use super::translate::{access_descs, batch_params, called};
use super::types::{CUcontext, CUevent, CUfunction, CUgraph, CUkernel};
use crate::software::batch::MemOp;
use crate::software::graph::{Graphs, NodeInfo, NodeType, NodeWork};
use crate::software::params::{HostWork, Location, PoolProps};
use crate::software::work::{KernelWork, MemsetWork, NodeParams};

/// The parameters of a node, as `cuGraphNodeGetParams` gives them. What they point to belongs to
/// the node.
pub(super) fn describe(graphs: &mut Graphs, node: u64) -> Cuda<CUgraphNodeParams> {
    let work = graphs.node(node)?.work().clone();
    let info = graphs.node(node)?.info().clone();
    match &work {
        NodeWork::Work(NodeParams::Kernel(kernel)) => {
            let addresses = graphs.parameter_addresses(node)?;
            Ok(member(NodeType::Kernel, kernel_out(kernel, addresses, info.packed)))
        }
        NodeWork::Work(work) => Ok(describe_work(work, &info)),
        NodeWork::ChildGraph(graph) => {
            // D: CU_GRAPH_CHILD_GRAPH_OWNERSHIP_INVALID, so that the answer cannot be used to add a node.
            let params = CUDA_CHILD_GRAPH_NODE_PARAMS { graph: CUgraph(*graph), ownership: -1 };
            Ok(member(NodeType::Graph, params))
        }
        NodeWork::Conditional(conditional) => {
            let params = CUDA_CONDITIONAL_NODE_PARAMS {
                handle: conditional.handle,
                type_: conditional.kind as u32,
                size: conditional.bodies.len() as u32,
                phGraph_out: conditional.bodies.as_ptr().cast(),
                ctx: CUcontext(info.context),
            };
            Ok(member(NodeType::Conditional, params))
        }
    }
}

/// As [`describe`], for work that no node holds: what it points to belongs to `work` and `info`.
/// A kernel's parameters are left out.
pub(super) fn describe_work(work: &NodeParams, info: &NodeInfo) -> CUgraphNodeParams {
    let ctx = CUcontext(info.context);
    match work {
        NodeParams::Kernel(kernel) => member(NodeType::Kernel, kernel_out(kernel, &[], false)),
        NodeParams::Memcpy(copy) => {
            let params =
                CUDA_MEMCPY_NODE_PARAMS { copyCtx: ctx, copyParams: (&copy.params).into(), ..Default::default() };
            member(NodeType::Memcpy, params)
        }
        NodeParams::Memset(fill) => {
            member(NodeType::Memset, CUDA_MEMSET_NODE_PARAMS_v2 { fill: memset_out(fill), ctx })
        }
        NodeParams::Host(work) => {
            let params = CUDA_HOST_NODE_PARAMS_v2 { host: host_out(work), syncMode: info.flags, ctx };
            member(NodeType::Host, params)
        }
        NodeParams::EventRecord(event) => {
            member(NodeType::EventRecord, CUDA_EVENT_RECORD_NODE_PARAMS { event: CUevent(event.0), ctx })
        }
        NodeParams::EventWait(event) => {
            member(NodeType::WaitEvent, CUDA_EVENT_WAIT_NODE_PARAMS { event: CUevent(event.0) })
        }
        NodeParams::MemAlloc { address, size, device, .. } => {
            member(NodeType::MemAlloc, allocation_out(*address, *size, *device, info))
        }
        NodeParams::MemFree { address } => member(NodeType::MemFree, CUDA_MEM_FREE_NODE_PARAMS { dptr: *address }),
        NodeParams::BatchMemOp(operations) => member(NodeType::BatchMemOp, batch_out(operations, info)),
        NodeParams::Empty => member(NodeType::Empty, [0u64; 0]),
    }
}

fn member<T: Copy>(kind: NodeType, value: T) -> CUgraphNodeParams {
    const { assert!(size_of::<T>() <= 232) };
    let mut params = CUgraphNodeParams { type_: kind as u32, reserved0: [0; 3], member: [0; 29], reserved2: 0 };
    // SAFETY: the array is large and aligned enough for `T`.
    unsafe { params.member.as_mut_ptr().cast::<T>().write(value) };
    params
}

pub(super) fn kernel_out(kernel: &KernelWork, addresses: &[usize], packed: bool) -> CUDA_KERNEL_NODE_PARAMS {
    let array = if addresses.is_empty() { std::ptr::null_mut() } else { addresses.as_ptr().cast_mut().cast() };
    let (none, config) = (std::ptr::null_mut(), &kernel.config);
    CUDA_KERNEL_NODE_PARAMS {
        launch: CUDA_KERNEL_NODE_PARAMS_v1 {
            func: CUfunction(kernel.function.handle),
            gridDimX: config.grid[0],
            gridDimY: config.grid[1],
            gridDimZ: config.grid[2],
            blockDimX: config.block[0],
            blockDimY: config.block[1],
            blockDimZ: config.block[2],
            sharedMemBytes: config.dynamic_shared_bytes,
            kernelParams: if packed { none } else { array },
            extra: if packed { array } else { none },
        },
        kern: CUkernel::NULL,
        ctx: CUcontext(kernel.function.context.0),
    }
}

pub(super) fn memset_out(fill: &MemsetWork) -> CUDA_MEMSET_NODE_PARAMS {
    CUDA_MEMSET_NODE_PARAMS {
        dst: fill.dst,
        pitch: fill.pitch,
        value: fill.value,
        elementSize: fill.element_size,
        width: fill.width,
        height: fill.height,
    }
}

pub(super) fn host_out(work: &HostWork) -> CUDA_HOST_NODE_PARAMS {
    // No capture supports cuStreamAddCallback, so no node holds a function of another type.
    let (function, data) = called(work.callback);
    CUDA_HOST_NODE_PARAMS { function: Some(function), userData: data }
}

pub(super) fn batch_out(operations: &[MemOp], info: &NodeInfo) -> CUDA_BATCH_MEM_OP_NODE_PARAMS {
    CUDA_BATCH_MEM_OP_NODE_PARAMS {
        ctx: CUcontext(info.context),
        count: operations.len() as u32,
        paramArray: batch_params(operations),
        flags: info.flags,
    }
}

/// An allocation that came from a stream was asked for with its device's default pool.
pub(super) fn allocation_out(address: u64, size: u64, device: c_int, info: &NodeInfo) -> CUDA_MEM_ALLOC_NODE_PARAMS {
    let device = Location { kind: 1, id: device };
    let from_stream = PoolProps { allocation_type: 1, handle_types: 0, location: device, max_size: 0, usage: 0 };
    let request = info.allocation.as_deref();
    CUDA_MEM_ALLOC_NODE_PARAMS {
        poolProps: (&request.map_or(from_stream, |request| request.pool)).into(),
        accessDescs: request.map_or(std::ptr::null(), |request| access_descs(&request.access)),
        accessDescCount: request.map_or(0, |request| request.access.len()),
        bytesize: size as usize,
        dptr: address,
    }
}
