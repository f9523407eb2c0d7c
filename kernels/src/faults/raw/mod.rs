//! The raw driver calls that planted faults make, each under its own name, so that the faults
//! themselves read as the code that they stand for.
//!
//! Everything here answers with the driver's `CUresult`: hand it to `StepContext::check` under
//! the call's name. Device addresses are plain numbers; a wrong one is the device's to report.

use cudarc::driver::sys::{self, CUevent, CUresult, CUstream};
use graphproof_harness::error::{StepError, StepResult};

/// Calls one driver function.
macro_rules! call {
    ($function:ident($($argument:expr),* $(,)?)) => {
        // SAFETY: handles come from the driver and are alive; pointers are to locals, to memory of
        // the length given with them, or to what the caller vouches for.
        unsafe { sys::$function($($argument),*) }
    };
}

// Behind the macro, which they use.
mod graph;
mod host;
mod module;
mod tensor_map;

pub use graph::{Exec, Graph, begin_capture, end_capture, is_capturing};
pub use host::{
    Pinned, add_callback, count_on_host, download, download_async, launch_host_function, upload, upload_async,
};
pub use module::LoadedModule;
pub use tensor_map::tensor_map;

/// The legacy default stream.
pub const LEGACY: CUstream = std::ptr::null_mut();

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

    /// `cuEventDestroy`.
    pub fn destroy(self) -> CUresult {
        call!(cuEventDestroy_v2(self.0))
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

/// `cuMemsetD32Async`.
pub fn memset32_async(address: u64, value: u32, words: usize, stream: CUstream) -> CUresult {
    call!(cuMemsetD32Async(address, value, words, stream))
}

/// `cuMemsetD8`.
pub fn memset_now(address: u64, value: u8, bytes: usize) -> CUresult {
    call!(cuMemsetD8_v2(address, value, bytes))
}

/// `cuMemsetD2D32`, of one row.
pub fn memset_row(address: u64, value: u32, words: usize) -> CUresult {
    call!(cuMemsetD2D32_v2(address, words * 4, value, words, 1))
}

/// `cuMemcpyDtoDAsync`.
pub fn copy_async(destination: u64, source: u64, bytes: usize, stream: CUstream) -> CUresult {
    call!(cuMemcpyDtoDAsync_v2(destination, source, bytes, stream))
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
