//! The raw driver calls that planted faults make, each under its own name, so that the faults
//! themselves read as the code that they stand for.
//!
//! Everything here answers with the driver's `CUresult`: hand it to `StepContext::check` under
//! the call's name. Device addresses are plain numbers; a wrong one is the device's to report.

use std::ffi::{CString, c_void};

use cudarc::driver::sys::{self, CUevent, CUfunction, CUgraph, CUgraphExec, CUmodule, CUresult, CUstream};
use graphproof_harness::error::{StepError, StepResult};

/// The legacy default stream.
pub const LEGACY: CUstream = std::ptr::null_mut();

/// Calls one driver function.
macro_rules! call {
    ($function:ident($($argument:expr),* $(,)?)) => {
        // SAFETY: handles come from the driver and are alive; pointers are to locals, to memory of
        // the length given with them, or to what the caller vouches for.
        unsafe { sys::$function($($argument),*) }
    };
}

/// A call outside the recorded region that has to succeed.
pub fn must(function: &str, result: CUresult) -> StepResult<()> {
    match result {
        CUresult::CUDA_SUCCESS => Ok(()),
        error => Err(StepError::Other(format!("{function} returned {error:?}"))),
    }
}

/// A stream of its own.
#[derive(Debug)]
pub struct Stream(pub CUstream);

// SAFETY: stream handles may be used from any thread.
unsafe impl Send for Stream {}
// SAFETY: as above.
unsafe impl Sync for Stream {}

impl Stream {
    /// A stream that does not synchronise with the legacy one.
    pub fn non_blocking() -> StepResult<Self> {
        let mut raw = std::ptr::null_mut();
        must("cuStreamCreate", call!(cuStreamCreate(&mut raw, 1)))?;
        Ok(Stream(raw))
    }

    /// The handle.
    pub fn handle(&self) -> CUstream {
        self.0
    }
}

/// `cuStreamDestroy` of a stream that is used no more.
pub fn stream_destroy(stream: &Stream) -> CUresult {
    call!(cuStreamDestroy_v2(stream.0))
}

/// `cuStreamSynchronize`.
pub fn stream_synchronize(stream: CUstream) -> CUresult {
    call!(cuStreamSynchronize(stream))
}

/// `cuStreamQuery`.
pub fn stream_query(stream: CUstream) -> CUresult {
    call!(cuStreamQuery(stream))
}

/// `cuCtxSynchronize`.
pub fn context_synchronize() -> CUresult {
    call!(cuCtxSynchronize())
}

/// The context that is current, for another thread.
pub struct Context(sys::CUcontext);

// SAFETY: context handles may be used from any thread.
unsafe impl Send for Context {}
// SAFETY: as above.
unsafe impl Sync for Context {}

impl Context {
    /// The calling thread's.
    pub fn current() -> StepResult<Self> {
        let mut context = std::ptr::null_mut();
        must("cuCtxGetCurrent", call!(cuCtxGetCurrent(&mut context)))?;
        Ok(Context(context))
    }

    /// Makes it current on the calling thread.
    pub fn bind(&self) -> CUresult {
        call!(cuCtxSetCurrent(self.0))
    }
}

/// An event without timing.
#[derive(Debug)]
pub struct Event(pub CUevent);

// SAFETY: event handles may be used from any thread.
unsafe impl Send for Event {}
// SAFETY: as above.
unsafe impl Sync for Event {}

impl Event {
    /// A new event.
    pub fn new() -> StepResult<Self> {
        let mut raw = std::ptr::null_mut();
        must("cuEventCreate", call!(cuEventCreate(&mut raw, 2)))?;
        Ok(Event(raw))
    }

    /// `cuEventRecord`.
    pub fn record(&self, stream: CUstream) -> CUresult {
        call!(cuEventRecord(self.0, stream))
    }

    /// `cuEventSynchronize`.
    pub fn synchronize(&self) -> CUresult {
        call!(cuEventSynchronize(self.0))
    }

    /// `cuStreamWaitEvent`.
    pub fn wait(&self, stream: CUstream) -> CUresult {
        call!(cuStreamWaitEvent(stream, self.0, 0))
    }
}

/// `cuMemAlloc`: the address, 0 if it failed.
pub fn mem_alloc(bytes: usize) -> (CUresult, u64) {
    let mut address = 0;
    (call!(cuMemAlloc_v2(&mut address, bytes)), address)
}

/// `cuMemFree`.
pub fn mem_free(address: u64) -> CUresult {
    call!(cuMemFree_v2(address))
}

/// `cuMemAllocAsync`: the address, 0 if it failed.
pub fn mem_alloc_async(bytes: usize, stream: CUstream) -> (CUresult, u64) {
    let mut address = 0;
    (call!(cuMemAllocAsync(&mut address, bytes, stream)), address)
}

/// `cuMemFreeAsync`.
pub fn mem_free_async(address: u64, stream: CUstream) -> CUresult {
    call!(cuMemFreeAsync(address, stream))
}

/// `cuMemsetD8Async`.
pub fn memset_async(address: u64, value: u8, bytes: usize, stream: CUstream) -> CUresult {
    call!(cuMemsetD8Async(address, value, bytes, stream))
}

/// `cuMemcpyDtoDAsync`.
pub fn copy_async(destination: u64, source: u64, bytes: usize, stream: CUstream) -> CUresult {
    call!(cuMemcpyDtoDAsync_v2(destination, source, bytes, stream))
}

/// `cuMemcpyHtoDAsync` from any host memory. It must stay where it is for as long as a graph that
/// captured the copy is replayed.
pub fn upload_async(destination: u64, source: &[u8], stream: CUstream) -> CUresult {
    call!(cuMemcpyHtoDAsync_v2(destination, source.as_ptr().cast(), source.len(), stream))
}

/// `cuMemcpyDtoHAsync` into any host memory; see [`upload_async`].
pub fn download_async(destination: &mut [u8], source: u64, stream: CUstream) -> CUresult {
    call!(cuMemcpyDtoHAsync_v2(destination.as_mut_ptr().cast(), source, destination.len(), stream))
}

/// `cuMemcpyDtoH`, the synchronous copy.
pub fn download(destination: &mut [u8], source: u64) -> CUresult {
    call!(cuMemcpyDtoH_v2(destination.as_mut_ptr().cast(), source, destination.len()))
}

/// Page-locked host memory that the device can reach too. Given back only by [`Pinned::free`]: a
/// graph may still hold its address.
#[derive(Debug)]
pub struct Pinned {
    pointer: *mut u8,
    len: usize,
}

// SAFETY: the memory is the process's and may be used from any thread.
unsafe impl Send for Pinned {}
// SAFETY: as above; it is written through `&mut` or by the device.
unsafe impl Sync for Pinned {}

impl Pinned {
    /// `cuMemHostAlloc`, mapped for the device.
    pub fn new(len: usize) -> Result<Self, CUresult> {
        let mut pointer = std::ptr::null_mut();
        match call!(cuMemHostAlloc(&mut pointer, len, 2)) {
            CUresult::CUDA_SUCCESS => Ok(Pinned { pointer: pointer.cast(), len }),
            error => Err(error),
        }
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: `len` bytes that the driver gave, zeroed by the system.
        unsafe { std::slice::from_raw_parts(self.pointer, self.len) }
    }

    /// The bytes, to write.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as for `bytes`, borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(self.pointer, self.len) }
    }

    /// Reads the first word as the device may be writing it.
    pub fn peek(&self) -> u32 {
        // SAFETY: the allocation is at least a word, and page-aligned.
        unsafe { self.pointer.cast::<u32>().read_volatile() }
    }

    /// Writes the first word.
    pub fn poke(&self, value: u32) {
        // SAFETY: as for `peek`.
        unsafe { self.pointer.cast::<u32>().write_volatile(value) }
    }

    /// Where the device sees it.
    pub fn device_address(&self) -> StepResult<u64> {
        let mut address = 0;
        let result = call!(cuMemHostGetDevicePointer_v2(&mut address, self.pointer.cast(), 0));
        must("cuMemHostGetDevicePointer", result)?;
        Ok(address)
    }

    /// `cuMemFreeHost`.
    pub fn free(self) -> CUresult {
        call!(cuMemFreeHost(self.pointer.cast()))
    }
}

/// `cuMemPoolSetAttribute` of the device's default pool: the release threshold.
pub fn set_release_threshold(bytes: u64) -> CUresult {
    let mut pool = std::ptr::null_mut();
    match call!(cuDeviceGetDefaultMemPool(&mut pool, 0)) {
        CUresult::CUDA_SUCCESS => {}
        error => return error,
    }
    let mut bytes = bytes;
    let attribute = sys::CUmemPool_attribute::CU_MEMPOOL_ATTR_RELEASE_THRESHOLD;
    call!(cuMemPoolSetAttribute(pool, attribute, (&raw mut bytes).cast()))
}

/// A module loaded by the step itself.
#[derive(Debug)]
pub struct LoadedModule(CUmodule);

// SAFETY: module handles may be used from any thread.
unsafe impl Send for LoadedModule {}
// SAFETY: as above.
unsafe impl Sync for LoadedModule {}

impl LoadedModule {
    /// `cuModuleLoadData`.
    pub fn load(ptx: &str) -> Result<Self, CUresult> {
        let Ok(text) = CString::new(ptx) else { return Err(CUresult::CUDA_ERROR_INVALID_PTX) };
        let mut module = std::ptr::null_mut();
        match call!(cuModuleLoadData(&mut module, text.as_ptr().cast())) {
            CUresult::CUDA_SUCCESS => Ok(LoadedModule(module)),
            error => Err(error),
        }
    }

    /// `cuModuleUnload`.
    pub fn unload(self) -> CUresult {
        call!(cuModuleUnload(self.0))
    }
}

/// Begins a capture in GLOBAL mode.
pub fn begin_capture(stream: CUstream) -> CUresult {
    call!(cuStreamBeginCapture_v2(stream, sys::CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_GLOBAL))
}

/// Ends a capture; the graph, if there is one, belongs to the caller.
pub fn end_capture(stream: CUstream) -> (CUresult, Option<Graph>) {
    let mut graph = std::ptr::null_mut();
    let result = call!(cuStreamEndCapture(stream, &mut graph));
    (result, (!graph.is_null()).then_some(Graph(graph)))
}

/// Whether the stream is being captured.
pub fn is_capturing(stream: CUstream) -> bool {
    let mut status = sys::CUstreamCaptureStatus::CU_STREAM_CAPTURE_STATUS_NONE;
    let result = call!(cuStreamIsCapturing(stream, &mut status));
    result == CUresult::CUDA_SUCCESS && status != sys::CUstreamCaptureStatus::CU_STREAM_CAPTURE_STATUS_NONE
}

/// A graph.
#[derive(Debug)]
pub struct Graph(CUgraph);

/// An executable graph.
#[derive(Debug)]
pub struct Exec(CUgraphExec);

// SAFETY: the handle may move between threads; each use is by one thread at a time.
unsafe impl Send for Exec {}
// SAFETY: as above.
unsafe impl Sync for Exec {}

impl Graph {
    /// `cuGraphInstantiate`.
    pub fn instantiate(&self) -> Result<Exec, CUresult> {
        let mut exec = std::ptr::null_mut();
        match call!(cuGraphInstantiateWithFlags(&mut exec, self.0, 0)) {
            CUresult::CUDA_SUCCESS => Ok(Exec(exec)),
            error => Err(error),
        }
    }

    /// `cuGraphDestroy`.
    pub fn destroy(self) -> CUresult {
        call!(cuGraphDestroy(self.0))
    }
}

impl Exec {
    /// `cuGraphExecUpdate`.
    pub fn update(&self, graph: &Graph) -> CUresult {
        let mut info = sys::CUgraphExecUpdateResultInfo {
            result: sys::CUgraphExecUpdateResult::CU_GRAPH_EXEC_UPDATE_SUCCESS,
            errorNode: std::ptr::null_mut(),
            errorFromNode: std::ptr::null_mut(),
        };
        call!(cuGraphExecUpdate_v2(self.0, graph.0, &mut info))
    }

    /// `cuGraphLaunch`.
    pub fn launch(&self, stream: CUstream) -> CUresult {
        call!(cuGraphLaunch(self.0, stream))
    }

    /// `cuGraphExecDestroy`.
    pub fn destroy(self) -> CUresult {
        call!(cuGraphExecDestroy(self.0))
    }
}

/// A host function that only looks at where its argument is, and does not follow it.
unsafe extern "C" fn look_at(argument: *mut c_void) {
    std::hint::black_box(argument.addr());
}

/// `cuLaunchHostFunc` with the address of `argument`.
pub fn launch_host_function<T>(stream: CUstream, argument: &T) -> CUresult {
    call!(cuLaunchHostFunc(stream, Some(look_at), std::ptr::from_ref(argument).cast_mut().cast()))
}

/// A stream callback that does nothing.
unsafe extern "C" fn ignore(_: CUstream, _: CUresult, _: *mut c_void) {}

/// `cuStreamAddCallback`.
pub fn add_callback(stream: CUstream) -> CUresult {
    call!(cuStreamAddCallback(stream, Some(ignore), std::ptr::null_mut(), 0))
}

/// A kernel of the current context, by its handle.
#[derive(Debug, Clone, Copy)]
pub struct Kernel(CUfunction);

impl LoadedModule {
    /// `cuModuleGetFunction`.
    pub fn kernel(&self, name: &str) -> Result<Kernel, CUresult> {
        let Ok(name) = CString::new(name) else { return Err(CUresult::CUDA_ERROR_NOT_FOUND) };
        let mut function = std::ptr::null_mut();
        match call!(cuModuleGetFunction(&mut function, self.0, name.as_ptr())) {
            CUresult::CUDA_SUCCESS => Ok(Kernel(function)),
            error => Err(error),
        }
    }
}

impl Kernel {
    /// `cuLaunchKernel` of one block; `arguments` are the parameters' bytes.
    pub fn launch(self, threads: u32, arguments: &mut [Vec<u8>], stream: CUstream) -> CUresult {
        let mut pointers: Vec<*mut c_void> = arguments.iter_mut().map(|bytes| bytes.as_mut_ptr().cast()).collect();
        let none = std::ptr::null_mut();
        call!(cuLaunchKernel(self.0, 1, 1, 1, threads, 1, 1, 0, stream, pointers.as_mut_ptr(), none))
    }
}
