//! Node parameters between C and the model.

use std::ffi::c_int;
use std::sync::Arc;

use super::args::{not_null, read, slice};
use super::graph_types::*;
use super::launch::parameters;
use super::translate::host_work;
use super::types::{CU_MEMORYTYPE_ARRAY, CU_MEMORYTYPE_HOST, CU_MEMORYTYPE_UNIFIED, CUDA_MEMCPY3D, CUcontext, CUevent};
use super::{CUresult, Cuda};
use crate::software::batch::MemOp;
use crate::software::device;
use crate::software::graph::{AllocationRequest, NodeInfo, NodeType, Ownership};
use crate::software::memory::{Devices, only};
use crate::software::params::Access;
use crate::software::work::{ConditionalKind, CopyWork, KernelWork, MemsetWork, NodeParams};
use crate::software::{EventId, World};
use graphproof_exec::LaunchConfig;

/// Work with what a node keeps beside it.
pub(super) type Described = (NodeParams, NodeInfo);

/// A context of the caller's choice; null stands for the current one.
pub(super) fn context(world: &World, context: CUcontext) -> Cuda<u64> {
    if context.is_null() {
        return Ok(world.current()?.id.0);
    }
    world.contexts.get(context.0).map(|_| context.0).ok_or(CUresult::INVALID_CONTEXT)
}

/// A context that need not be given.
fn optional_context(world: &World, context: CUcontext) -> Cuda<u64> {
    if context.is_null() { Ok(0) } else { self::context(world, context) }
}

fn with_context(context: u64) -> NodeInfo {
    NodeInfo { context, ..NodeInfo::default() }
}

/// # Safety
/// `kernelParams` and `extra` are as CUDA documents them.
pub(super) unsafe fn kernel(world: &mut World, params: &CUDA_KERNEL_NODE_PARAMS) -> Cuda<Described> {
    let launch = &params.launch;
    let function = if launch.func.is_null() {
        let owner = crate::software::ContextId(context(world, params.ctx)?);
        world.kernel_function(params.kern.0, owner)?
    } else {
        world.function(launch.func)?
    };
    let config = LaunchConfig {
        grid: [launch.gridDimX, launch.gridDimY, launch.gridDimZ],
        block: [launch.blockDimX, launch.blockDimY, launch.blockDimZ],
        dynamic_shared_bytes: launch.sharedMemBytes,
    };
    // SAFETY: as above.
    let parameters = unsafe { parameters(&function.entry, launch.kernelParams, launch.extra) }?;
    let info = NodeInfo { context: function.context.0, packed: !launch.extra.is_null(), ..NodeInfo::default() };
    let work = KernelWork { function, config, parameters, cooperative: false, attributes: Arc::default() };
    crate::software::launch::check(&work)?;
    Ok((NodeParams::Kernel(work), info))
}

pub(super) fn memcpy(world: &World, params: CUDA_MEMCPY3D, context: CUcontext) -> Cuda<Described> {
    // M (H200, driver 580.159.04): a node moves something.
    if params.WidthInBytes == 0 || params.Height == 0 || params.Depth == 0 {
        return Err(CUresult::INVALID_VALUE);
    }
    let known = |kind: u32| (CU_MEMORYTYPE_HOST..=CU_MEMORYTYPE_UNIFIED).contains(&kind);
    if !known(params.srcMemoryType) || !known(params.dstMemoryType) || params.reserved0 != 0 || params.reserved1 != 0 {
        return Err(CUresult::INVALID_VALUE);
    }
    let narrow = |kind: u32, pitch: usize, x: usize| {
        kind != CU_MEMORYTYPE_ARRAY && pitch != 0 && pitch < params.WidthInBytes.saturating_add(x)
    };
    let source = narrow(params.srcMemoryType, params.srcPitch, params.srcXInBytes);
    if params.Height > 1 && (source || narrow(params.dstMemoryType, params.dstPitch, params.dstXInBytes)) {
        return Err(CUresult::INVALID_VALUE);
    }
    let context = self::context(world, context)?;
    Ok((NodeParams::Memcpy(CopyWork { params: (&params).into(), staged: None }), with_context(context)))
}

pub(super) fn memset(world: &World, params: &CUDA_MEMSET_NODE_PARAMS, context: CUcontext) -> Cuda<Described> {
    // M (H200, driver 580.159.04): a node fills something.
    if params.width == 0 || params.height == 0 {
        return Err(CUresult::INVALID_VALUE);
    }
    let element = params.elementSize as usize;
    let row = params.width.checked_mul(element).ok_or(CUresult::INVALID_VALUE)?;
    let pitched = params.height <= 1 || (params.pitch >= row && params.pitch.is_multiple_of(element.max(1)));
    if !matches!(element, 1 | 2 | 4) || !params.dst.is_multiple_of(element as u64) || !pitched {
        return Err(CUresult::INVALID_VALUE);
    }
    let work = MemsetWork {
        dst: params.dst,
        pitch: params.pitch,
        value: params.value,
        element_size: params.elementSize,
        width: params.width,
        height: params.height,
    };
    Ok((NodeParams::Memset(work), with_context(self::context(world, context)?)))
}

pub(super) fn host(params: &CUDA_HOST_NODE_PARAMS, sync_mode: u32, context: u64) -> Cuda<Described> {
    let work = host_work(params.function.ok_or(CUresult::INVALID_VALUE)?, params.userData);
    Ok((NodeParams::Host(work), NodeInfo { context, flags: sync_mode, ..NodeInfo::default() }))
}

pub(super) fn event(world: &World, event: CUevent) -> Cuda<EventId> {
    world.event_id(event)
}

/// # Safety
/// `paramArray` is valid for reads of `count` elements.
pub(super) unsafe fn batch(world: &World, params: &CUDA_BATCH_MEM_OP_NODE_PARAMS) -> Cuda<Described> {
    /// `CU_STREAM_MEM_OP_…`; flushes (3) and atomic reductions (8) among them.
    const KINDS: [u32; 7] = [1, 2, 3, 4, 5, 6, 8];
    // D (cuStreamBatchMemOp): at most 256 operations.
    if params.count == 0 || params.count > 256 || params.flags != 0 {
        return Err(CUresult::INVALID_VALUE);
    }
    // SAFETY: as above.
    let operations = unsafe { slice(params.paramArray.cast_const(), params.count as usize) }?;
    if !operations.iter().all(|operation| KINDS.contains(&(operation.0[0] as u32))) {
        return Err(CUresult::INVALID_VALUE);
    }
    let info = NodeInfo { context: context(world, params.ctx)?, flags: params.flags, ..NodeInfo::default() };
    Ok((NodeParams::BatchMemOp(operations.iter().map(MemOp::from).collect()), info))
}

/// What to allocate, checked.
///
/// # Safety
/// `accessDescs` is valid for reads of `accessDescCount` elements.
pub(super) unsafe fn allocation(params: &CUDA_MEM_ALLOC_NODE_PARAMS) -> Cuda<(u64, NodeInfo)> {
    let pool = params.poolProps;
    super::memory::located(&raw const pool.location, pool.allocType)?;
    if pool.handleTypes != 0 || params.bytesize == 0 || params.accessDescCount > device::count() as usize {
        return Err(CUresult::INVALID_VALUE);
    }
    // SAFETY: as above.
    let access = unsafe { slice(params.accessDescs, params.accessDescCount) }?;
    access.iter().try_for_each(|given| super::memory::located(&raw const given.location, 1).map(|_| ()))?;
    let access = access.iter().map(Access::from).collect();
    let allocation = Some(Arc::new(AllocationRequest { pool: (&pool).into(), access }));
    Ok((params.bytesize as u64, NodeInfo { allocation, ..NodeInfo::default() }))
}

/// The device of an allocation that was asked for with that, and the devices that may access it: D
/// (CUDA_MEM_ALLOC_NODE_PARAMS), its own and those with read and write access.
pub(super) fn allocated_on(info: &NodeInfo) -> (c_int, Devices) {
    const READ_WRITE: u32 = 3;
    let Some(request) = &info.allocation else { return (0, only(0)) };
    let device = request.pool.location.id;
    let given = request.access.iter().filter(|given| given.flags == READ_WRITE);
    (device, given.fold(only(device), |access, given| access | only(given.location.id)))
}

/// A node that `cuGraphAddNode` is asked for.
pub(super) enum Requested {
    Work(Box<Described>),
    Allocation(u64, NodeInfo),
    ChildGraph(u64, Ownership),
    Conditional { handle: u64, kind: ConditionalKind, size: u32, info: NodeInfo },
}

/// Reads the member that the type names. All other bytes must be zero (D).
///
/// # Safety
/// The pointers inside are as CUDA documents them for the type.
pub(super) unsafe fn node(world: &mut World, params: &CUgraphNodeParams) -> Cuda<Requested> {
    if params.reserved0 != [0; 3] || params.reserved2 != 0 {
        return Err(CUresult::INVALID_VALUE);
    }
    let member = Member(&params.member);
    let work = match params.type_ {
        // SAFETY: the caller's parameters.
        kind if kind == NodeType::Kernel as u32 => unsafe { kernel(world, &member.read()?) }?,
        kind if kind == NodeType::Memcpy as u32 => {
            let params: CUDA_MEMCPY_NODE_PARAMS = member.read()?;
            if params.flags != 0 || params.reserved != 0 {
                return Err(CUresult::INVALID_VALUE);
            }
            memcpy(world, params.copyParams, params.copyCtx)?
        }
        kind if kind == NodeType::Memset as u32 => {
            let params: CUDA_MEMSET_NODE_PARAMS_v2 = member.read()?;
            memset(world, &params.fill, params.ctx)?
        }
        kind if kind == NodeType::Host as u32 => {
            let params: CUDA_HOST_NODE_PARAMS_v2 = member.read()?;
            host(&params.host, params.syncMode, optional_context(world, params.ctx)?)?
        }
        kind if kind == NodeType::Graph as u32 => {
            let params: CUDA_CHILD_GRAPH_NODE_PARAMS = member.read()?;
            let ownership = match params.ownership {
                0 => Ownership::Clone,
                1 => Ownership::Move,
                _ => return Err(CUresult::INVALID_VALUE),
            };
            return Ok(Requested::ChildGraph(params.graph.0, ownership));
        }
        kind if kind == NodeType::Empty as u32 => {
            member.read::<[u64; 0]>()?;
            (NodeParams::Empty, NodeInfo::default())
        }
        kind if kind == NodeType::WaitEvent as u32 => {
            let params: CUDA_EVENT_WAIT_NODE_PARAMS = member.read()?;
            (NodeParams::EventWait(event(world, params.event)?), NodeInfo::default())
        }
        kind if kind == NodeType::EventRecord as u32 => {
            let params: CUDA_EVENT_RECORD_NODE_PARAMS = member.read()?;
            let event = event(world, params.event)?;
            (NodeParams::EventRecord(event), with_context(optional_context(world, params.ctx)?))
        }
        kind if kind == NodeType::MemAlloc as u32 => {
            // SAFETY: the caller's parameters.
            let (bytes, info) = unsafe { allocation(&member.read()?) }?;
            return Ok(Requested::Allocation(bytes, info));
        }
        kind if kind == NodeType::MemFree as u32 => {
            let params: CUDA_MEM_FREE_NODE_PARAMS = member.read()?;
            (NodeParams::MemFree { address: params.dptr }, NodeInfo::default())
        }
        // SAFETY: the caller's parameters.
        kind if kind == NodeType::BatchMemOp as u32 => unsafe { batch(world, &member.read()?) }?,
        kind if kind == NodeType::Conditional as u32 => {
            let params: CUDA_CONDITIONAL_NODE_PARAMS = member.read()?;
            let kind = match params.type_ {
                0 => ConditionalKind::If,
                1 => ConditionalKind::While,
                2 => ConditionalKind::Switch,
                _ => return Err(CUresult::INVALID_VALUE),
            };
            let info = with_context(context(world, params.ctx)?);
            return Ok(Requested::Conditional { handle: params.handle, kind, size: params.size, info });
        }
        // External semaphores, batches of copies, external engines: not modelled.
        8 | 9 | 14 | 17 | 18 => return Err(CUresult::NOT_SUPPORTED),
        _ => return Err(CUresult::INVALID_VALUE),
    };
    Ok(Requested::Work(Box::new(work)))
}

struct Member<'a>(&'a [u64; 29]);

impl Member<'_> {
    /// The member of that type; bytes beyond it must be zero.
    fn read<T: Copy>(&self) -> Cuda<T> {
        const { assert!(size_of::<T>() <= 232) };
        if self.0[size_of::<T>().div_ceil(8)..].iter().any(|&word| word != 0) {
            return Err(CUresult::INVALID_VALUE);
        }
        // SAFETY: the array is large and aligned enough, and every `T` used here is plain data
        // (numbers, pointers, optional function pointers) that any bytes are a value of.
        Ok(unsafe { self.0.as_ptr().cast::<T>().read() })
    }
}

/// Reads a structure of the caller.
///
/// # Safety
/// `params` is null or valid for a read.
pub(super) unsafe fn given<T: Copy>(params: *const T) -> Cuda<T> {
    not_null(params)?;
    // SAFETY: as above.
    unsafe { read(params) }
}
