//! The calls whose arguments need no structure: one row each.
//!
//! A signature is one word per argument of the C function:
//! - `i`  an argument of the line, in order (a handle, an address, a number, a constant, a string);
//! - `=N` a fixed number that the line does not spell;
//! - `>`  receives the handle that the line's variable takes; `>d` device memory, `>h` host memory;
//! - `#`  receives 32 bits that the answer shows; `##` 64 bits;
//! - `_`  receives something that no case looks at.
//!
//! A trailing `?` after `i` makes an argument optional; it is 0 where the line leaves it out.

use super::env::{Answer, Env, Kind, Prepared, Problem, Scratch};
use crate::conformance::expand::Step;

/// A call: the name in case files (as cuda.h spells it), the exported symbol, the signature.
struct Row(&'static str, &'static str, &'static str);

const ROWS: &[Row] = &[
    // Contexts and devices.
    Row("cuInit", "cuInit", "i"),
    Row("cuCtxSynchronize", "cuCtxSynchronize", ""),
    Row("cuCtxGetCurrent", "cuCtxGetCurrent", "_"),
    Row("cuCtxSetCurrent", "cuCtxSetCurrent", "i"),
    Row("cuCtxPushCurrent", "cuCtxPushCurrent_v2", "i"),
    Row("cuCtxPopCurrent", "cuCtxPopCurrent_v2", "_"),
    Row("cuCtxCreate", "cuCtxCreate_v2", "> i? i?"),
    Row("cuCtxDestroy", "cuCtxDestroy_v2", "i"),
    Row("cuCtxGetDevice", "cuCtxGetDevice", "#"),
    Row("cuCtxSetLimit", "cuCtxSetLimit", "i i"),
    Row("cuCtxGetLimit", "cuCtxGetLimit", "_ i"),
    Row("cuCtxSetCacheConfig", "cuCtxSetCacheConfig", "i"),
    Row("cuCtxGetStreamPriorityRange", "cuCtxGetStreamPriorityRange", "_ _"),
    Row("cuCtxResetPersistingL2Cache", "cuCtxResetPersistingL2Cache", ""),
    Row("cuCtxRecordEvent", "cuCtxRecordEvent", "i i"),
    Row("cuCtxWaitEvent", "cuCtxWaitEvent", "i i"),
    Row("cuCtxEnablePeerAccess", "cuCtxEnablePeerAccess", "i i?"),
    Row("cuCtxDisablePeerAccess", "cuCtxDisablePeerAccess", "i"),
    Row("cuDeviceGetCount", "cuDeviceGetCount", "#"),
    Row("cuDeviceCanAccessPeer", "cuDeviceCanAccessPeer", "# i i"),
    Row("cuDeviceGetP2PAttribute", "cuDeviceGetP2PAttribute", "# i i i"),
    Row("cuDeviceGetAttribute", "cuDeviceGetAttribute", "_ i i"),
    Row("cuDevicePrimaryCtxRetain", "cuDevicePrimaryCtxRetain", "> i"),
    Row("cuDevicePrimaryCtxRelease", "cuDevicePrimaryCtxRelease_v2", "i"),
    Row("cuDevicePrimaryCtxReset", "cuDevicePrimaryCtxReset_v2", "i"),
    Row("cuDevicePrimaryCtxGetState", "cuDevicePrimaryCtxGetState", "i _ _"),
    Row("cuProfilerStart", "cuProfilerStart", ""),
    Row("cuProfilerStop", "cuProfilerStop", ""),
    Row("cuGreenCtxRecordEvent", "cuGreenCtxRecordEvent", "i i"),
    Row("cuGreenCtxWaitEvent", "cuGreenCtxWaitEvent", "i i"),
    Row("cuGreenCtxStreamCreate", "cuGreenCtxStreamCreate", "> i i i"),
    Row("cuGetProcAddress_v2", "cuGetProcAddress_v2", "i > i i #"),
    // Streams.
    Row("cuStreamCreate", "cuStreamCreate", "> i"),
    Row("cuStreamCreateWithPriority", "cuStreamCreateWithPriority", "> i i"),
    Row("cuStreamDestroy", "cuStreamDestroy_v2", "i"),
    Row("cuStreamQuery", "cuStreamQuery", "i"),
    Row("cuStreamSynchronize", "cuStreamSynchronize", "i"),
    Row("cuStreamWaitEvent", "cuStreamWaitEvent", "i i i?"),
    Row("cuStreamAttachMemAsync", "cuStreamAttachMemAsync", "i i i i"),
    Row("cuStreamGetFlags", "cuStreamGetFlags", "i #"),
    Row("cuStreamGetPriority", "cuStreamGetPriority", "i _"),
    Row("cuStreamGetCtx", "cuStreamGetCtx", "i _"),
    Row("cuStreamGetDevice", "cuStreamGetDevice", "i #"),
    Row("cuStreamGetId", "cuStreamGetId", "i _"),
    Row("cuStreamCopyAttributes", "cuStreamCopyAttributes", "i i"),
    Row("cuStreamBeginCapture", "cuStreamBeginCapture_v2", "i i"),
    Row("cuStreamEndCapture", "cuStreamEndCapture", "i >"),
    Row("cuStreamWaitValue32", "cuStreamWaitValue32_v2", "i i i i"),
    Row("cuStreamWriteValue32", "cuStreamWriteValue32_v2", "i i i i"),
    // Events.
    Row("cuEventCreate", "cuEventCreate", "> i"),
    Row("cuEventRecord", "cuEventRecord", "i i"),
    Row("cuEventRecordWithFlags", "cuEventRecordWithFlags", "i i i"),
    Row("cuEventQuery", "cuEventQuery", "i"),
    Row("cuEventSynchronize", "cuEventSynchronize", "i"),
    Row("cuEventElapsedTime", "cuEventElapsedTime", "_ i i"),
    Row("cuEventDestroy", "cuEventDestroy_v2", "i"),
    Row("cuIpcGetEventHandle", "cuIpcGetEventHandle", "_ i"),
    Row("cuIpcGetMemHandle", "cuIpcGetMemHandle", "_ i"),
    // Memory.
    Row("cuMemAlloc", "cuMemAlloc_v2", ">d i"),
    Row("cuMemAllocPitch", "cuMemAllocPitch_v2", ">d _ i i i"),
    Row("cuMemAllocManaged", "cuMemAllocManaged", ">d i i"),
    Row("cuMemFree", "cuMemFree_v2", "i"),
    Row("cuMemAllocAsync", "cuMemAllocAsync", ">d i i"),
    Row("cuMemAllocFromPoolAsync", "cuMemAllocFromPoolAsync", ">d i i i"),
    Row("cuMemFreeAsync", "cuMemFreeAsync", "i i"),
    Row("cuMemAllocHost", "cuMemAllocHost_v2", ">h i"),
    Row("cuMemHostAlloc", "cuMemHostAlloc", ">h i i"),
    Row("cuMemFreeHost", "cuMemFreeHost", "i"),
    Row("cuMemHostRegister", "cuMemHostRegister_v2", "i i i"),
    Row("cuMemHostUnregister", "cuMemHostUnregister", "i"),
    Row("cuMemHostGetDevicePointer", "cuMemHostGetDevicePointer_v2", ">d i i"),
    Row("cuMemHostGetFlags", "cuMemHostGetFlags", "# i"),
    Row("cuMemGetInfo", "cuMemGetInfo_v2", "_ _"),
    Row("cuMemGetAddressRange", "cuMemGetAddressRange_v2", "_ _ i"),
    Row("cuPointerGetAttribute", "cuPointerGetAttribute", "_ i i"),
    Row("cuDeviceGetDefaultMemPool", "cuDeviceGetDefaultMemPool", "> i"),
    Row("cuMemPoolDestroy", "cuMemPoolDestroy", "i"),
    Row("cuMemPoolTrimTo", "cuMemPoolTrimTo", "i i"),
    Row("cuMemPoolGetAttribute", "cuMemPoolGetAttribute", "i i _"),
    Row("cuDeviceGetGraphMemAttribute", "cuDeviceGetGraphMemAttribute", "i i ##"),
    Row("cuDeviceGraphMemTrim", "cuDeviceGraphMemTrim", "i"),
    Row("cuMemAddressReserve", "cuMemAddressReserve", ">d i =0 =0 =0"),
    Row("cuMemAddressFree", "cuMemAddressFree", "i i"),
    Row("cuMemMap", "cuMemMap", "i i =0 i =0"),
    Row("cuMemUnmap", "cuMemUnmap", "i i"),
    Row("cuMemRelease", "cuMemRelease", "i"),
    Row("cuMemRetainAllocationHandle", "cuMemRetainAllocationHandle", "> i"),
    Row("cuArrayDestroy", "cuArrayDestroy", "i"),
    // Copies and fills.
    Row("cuMemcpy", "cuMemcpy", "i i i"),
    Row("cuMemcpyAsync", "cuMemcpyAsync", "i i i i"),
    Row("cuMemcpyHtoD", "cuMemcpyHtoD_v2", "i i i"),
    Row("cuMemcpyDtoH", "cuMemcpyDtoH_v2", "i i i"),
    Row("cuMemcpyDtoD", "cuMemcpyDtoD_v2", "i i i"),
    Row("cuMemcpyHtoDAsync", "cuMemcpyHtoDAsync_v2", "i i i i"),
    Row("cuMemcpyDtoHAsync", "cuMemcpyDtoHAsync_v2", "i i i i"),
    Row("cuMemcpyDtoDAsync", "cuMemcpyDtoDAsync_v2", "i i i i"),
    Row("cuMemcpyPeer", "cuMemcpyPeer", "i i i i i"),
    Row("cuMemcpyPeerAsync", "cuMemcpyPeerAsync", "i i i i i i"),
    Row("cuMemsetD8", "cuMemsetD8_v2", "i i i"),
    Row("cuMemsetD16", "cuMemsetD16_v2", "i i i"),
    Row("cuMemsetD32", "cuMemsetD32_v2", "i i i"),
    Row("cuMemsetD8Async", "cuMemsetD8Async", "i i i i"),
    Row("cuMemsetD16Async", "cuMemsetD16Async", "i i i i"),
    Row("cuMemsetD32Async", "cuMemsetD32Async", "i i i i"),
    Row("cuMemsetD2D32Async", "cuMemsetD2D32Async", "i i i i i i"),
    // Modules and functions.
    Row("cuModuleLoadData", "cuModuleLoadData", "> i"),
    Row("cuModuleUnload", "cuModuleUnload", "i"),
    Row("cuModuleGetGlobal", "cuModuleGetGlobal_v2", ">d _ i i"),
    Row("cuModuleGetLoadingMode", "cuModuleGetLoadingMode", "_"),
    Row("cuLibraryLoadData", "cuLibraryLoadData", "> i =0 =0 =0 =0 =0 =0"),
    Row("cuLibraryUnload", "cuLibraryUnload", "i"),
    Row("cuLibraryGetKernel", "cuLibraryGetKernel", "> i i"),
    Row("cuFuncLoad", "cuFuncLoad", "i"),
    Row("cuFuncIsLoaded", "cuFuncIsLoaded", "# i"),
    Row("cuFuncGetParamInfo", "cuFuncGetParamInfo", "i i ## ##"),
    Row("cuFuncGetAttribute", "cuFuncGetAttribute", "_ i i"),
    Row("cuFuncSetAttribute", "cuFuncSetAttribute", "i i i"),
    Row("cuFuncSetCacheConfig", "cuFuncSetCacheConfig", "i i"),
    Row("cuOccupancyMaxActiveBlocksPerMultiprocessor", "cuOccupancyMaxActiveBlocksPerMultiprocessor", "_ i i =0"),
    // Graphs.
    Row("cuGraphCreate", "cuGraphCreate", "> =0"),
    Row("cuGraphDestroy", "cuGraphDestroy", "i"),
    Row("cuGraphClone", "cuGraphClone", "> i"),
    Row("cuGraphNodeFindInClone", "cuGraphNodeFindInClone", "> i i"),
    Row("cuGraphDestroyNode", "cuGraphDestroyNode", "i"),
    Row("cuGraphNodeGetContainingGraph", "cuGraphNodeGetContainingGraph", "i >"),
    Row("cuGraphNodeGetLocalId", "cuGraphNodeGetLocalId", "i _"),
    Row("cuGraphNodeGetToolsId", "cuGraphNodeGetToolsId", "i _"),
    Row("cuGraphChildGraphNodeGetGraph", "cuGraphChildGraphNodeGetGraph", "i >"),
    Row("cuGraphEventRecordNodeGetEvent", "cuGraphEventRecordNodeGetEvent", "i >"),
    Row("cuGraphEventRecordNodeSetEvent", "cuGraphEventRecordNodeSetEvent", "i i"),
    Row("cuGraphEventWaitNodeGetEvent", "cuGraphEventWaitNodeGetEvent", "i >"),
    Row("cuGraphMemFreeNodeGetParams", "cuGraphMemFreeNodeGetParams", "i >d"),
    Row("cuGraphInstantiate", "cuGraphInstantiateWithFlags", "> i i?"),
    Row("cuGraphUpload", "cuGraphUpload", "i i"),
    Row("cuGraphLaunch", "cuGraphLaunch", "i i"),
    Row("cuGraphExecDestroy", "cuGraphExecDestroy", "i"),
    Row("cuGraphExecGetFlags", "cuGraphExecGetFlags", "i ##"),
    Row("cuGraphExecChildGraphNodeSetParams", "cuGraphExecChildGraphNodeSetParams", "i i i"),
    Row("cuGraphExecEventRecordNodeSetEvent", "cuGraphExecEventRecordNodeSetEvent", "i i i"),
    Row("cuGraphExecEventWaitNodeSetEvent", "cuGraphExecEventWaitNodeSetEvent", "i i i"),
    Row("cuGraphNodeSetEnabled", "cuGraphNodeSetEnabled", "i i i"),
    Row("cuGraphNodeGetEnabled", "cuGraphNodeGetEnabled", "i i #"),
    Row("cuGraphKernelNodeCopyAttributes", "cuGraphKernelNodeCopyAttributes", "i i"),
    Row("cuGraphConditionalHandleCreate", "cuGraphConditionalHandleCreate", "> i i i i"),
    Row("cuGraphRetainUserObject", "cuGraphRetainUserObject", "i i i i"),
    Row("cuGraphReleaseUserObject", "cuGraphReleaseUserObject", "i i i"),
    Row("cuUserObjectRetain", "cuUserObjectRetain", "i i"),
    Row("cuUserObjectRelease", "cuUserObjectRelease", "i i"),
];

/// Bytes given for an output that a case does not look at: more than any of them stores.
const IGNORED_OUTPUT: usize = 256;

fn row(name: &str) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.0 == name)
}

/// The fewest and the most arguments of a plain call, and whether it creates a value; `None` where
/// there is no such call.
pub fn arity(name: &str) -> Option<(usize, usize, bool)> {
    let words = || row(name).map(|row| row.2.split_whitespace());
    let least = words()?.filter(|word| *word == "i").count();
    let optional = words()?.filter(|word| *word == "i?").count();
    Some((least, least + optional, words()?.any(|word| word.starts_with('>'))))
}

/// Resolves a plain call's symbol and arguments.
///
/// # Errors
/// A missing symbol, or an argument that does not resolve.
pub fn prepare(env: &Env, step: &Step) -> Result<Prepared, Problem> {
    let Some(Row(_, symbol, signature)) = row(&step.call) else {
        return Err(Problem::Script(format!("`{}` is no known call", step.call)));
    };
    let entry = env.entry(symbol)?;
    let mut words = Vec::new();
    let mut created = None;
    let mut shown = Vec::new();
    let mut next = 0;
    for kind in signature.split_whitespace() {
        words.push(match kind {
            "i" | "i?" => {
                next += 1;
                env.arg_or(step, next - 1, 0)?
            }
            ">" | ">d" | ">h" => {
                let out = Scratch::new(8);
                let kind = match kind {
                    ">d" => Kind::Device,
                    ">h" => Kind::Host,
                    _ => Kind::Other,
                };
                created = Some((out, kind));
                out.address()
            }
            "#" | "##" => {
                let out = Scratch::new(8);
                shown.push(out);
                out.address()
            }
            "_" => Scratch::new(IGNORED_OUTPUT).address(),
            fixed => fixed.trim_start_matches('=').parse().unwrap_or(0),
        });
    }
    Ok(Box::new(move || {
        // SAFETY: the row gives the entry point's arguments; outputs are leaked blocks that are large
        // enough, and what a case passes for the others is what the case is about.
        let code = unsafe { entry.call(&words) };
        let mut answer = match created {
            Some((out, kind)) => Answer::created(code, out.read(0), kind),
            None => Answer::code(code),
        };
        if code == 0 {
            for out in shown {
                answer.text.push_str(&format!(" {}", out.read(0)));
            }
        }
        answer
    }))
}
