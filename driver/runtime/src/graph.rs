//! Graphs: kernel nodes, and what names a context.

use std::ffi::c_void;

use crate::door::{self, Outcome, entry_points};
use crate::types::{DriverKernelNodeParams, KernelNodeParams, MemsetParams, read, write};
use crate::{driver, registry};

/// The primary context of the thread's device, for calls of the driver that want to be told.
pub(crate) fn context() -> Outcome<usize> {
    let mut context = 0usize;
    // SAFETY: a place for the result.
    unsafe { driver::cuCtxGetCurrent((&raw mut context).cast()) }?;
    if context == 0 { door::primary(door::device()) } else { Ok(context) }
}

/// # Safety
/// `params` is null or the caller's structure.
unsafe fn kernel(params: *const KernelNodeParams) -> Outcome<DriverKernelNodeParams> {
    // SAFETY: as the caller vouches.
    let params = unsafe { read(params) }?;
    let func = registry::function(params.func)?;
    Ok(DriverKernelNodeParams { params: KernelNodeParams { func, ..params }, kern: 0, ctx: 0 })
}

entry_points! {
    fn cudaGraphAddKernelNode(
        pGraphNode: *mut usize, graph: usize, pDependencies: *const c_void, numDependencies: usize,
        pNodeParams: *const KernelNodeParams
    ) {
        let params = unsafe { kernel(pNodeParams) }?;
        unsafe {
            let params = (&raw const params).cast();
            driver::cuGraphAddKernelNode_v2(pGraphNode.cast(), graph, pDependencies, numDependencies, params)
        }
    }

    fn cudaGraphKernelNodeGetParams(node: usize, pNodeParams: *mut KernelNodeParams) {
        let none = std::mem::MaybeUninit::<DriverKernelNodeParams>::zeroed();
        // SAFETY: plain old data, for which zero is a value.
        let mut params = unsafe { none.assume_init() };
        unsafe { driver::cuGraphKernelNodeGetParams_v2(node, (&raw mut params).cast()) }?;
        let func = registry::named(params.params.func);
        unsafe { write(pNodeParams, KernelNodeParams { func, ..params.params }) }
    }

    fn cudaGraphKernelNodeSetParams(node: usize, pNodeParams: *const KernelNodeParams) {
        let params = unsafe { kernel(pNodeParams) }?;
        unsafe { driver::cuGraphKernelNodeSetParams_v2(node, (&raw const params).cast()) }
    }

    fn cudaGraphExecKernelNodeSetParams(hGraphExec: usize, node: usize, pNodeParams: *const KernelNodeParams) {
        let params = unsafe { kernel(pNodeParams) }?;
        unsafe { driver::cuGraphExecKernelNodeSetParams_v2(hGraphExec, node, (&raw const params).cast()) }
    }

    fn cudaGraphAddMemsetNode(
        pGraphNode: *mut usize, graph: usize, pDependencies: *const c_void, numDependencies: usize,
        pMemsetParams: *const MemsetParams
    ) {
        let context = context()?;
        unsafe {
            let params = pMemsetParams.cast();
            driver::cuGraphAddMemsetNode(pGraphNode.cast(), graph, pDependencies, numDependencies, params, context)
        }
    }

    fn cudaGraphExecMemsetNodeSetParams(hGraphExec: usize, node: usize, pNodeParams: *const MemsetParams) {
        unsafe { driver::cuGraphExecMemsetNodeSetParams(hGraphExec, node, pNodeParams.cast(), context()?) }
    }

    fn cudaGraphConditionalHandleCreate(handle: *mut u64, graph: usize, defaultLaunchValue: u32, flags: u32) {
        unsafe { driver::cuGraphConditionalHandleCreate(handle.cast(), graph, context()?, defaultLaunchValue, flags) }
    }
}
