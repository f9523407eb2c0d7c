//! Host memory, copies from and to it, and calls of the host by a stream.

use std::ffi::c_void;

use cudarc::driver::sys::{self, CUresult, CUstream};
use graphproof_harness::error::StepResult;

use super::must;

/// `cuMemcpyHtoDAsync` from any host memory. It must stay where it is for as long as a graph that
/// captured the copy is replayed.
pub fn upload_async(destination: u64, source: &[u8], stream: CUstream) -> CUresult {
    call!(cuMemcpyHtoDAsync_v2(destination, source.as_ptr().cast(), source.len(), stream))
}

/// `cuMemcpyDtoHAsync` into any host memory; see [`upload_async`].
pub fn download_async(destination: &mut [u8], source: u64, stream: CUstream) -> CUresult {
    call!(cuMemcpyDtoHAsync_v2(destination.as_mut_ptr().cast(), source, destination.len(), stream))
}

/// `cuMemcpyHtoD`, the synchronous copy.
pub fn upload(destination: u64, source: &[u8]) -> CUresult {
    call!(cuMemcpyHtoD_v2(destination, source.as_ptr().cast(), source.len()))
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

/// A host function that only looks at where its argument is, and does not follow it.
unsafe extern "C" fn look_at(argument: *mut c_void) {
    std::hint::black_box(argument.addr());
}

/// `cuLaunchHostFunc` with the address of `argument`.
pub fn launch_host_function<T>(stream: CUstream, argument: &T) -> CUresult {
    call!(cuLaunchHostFunc(stream, Some(look_at), std::ptr::from_ref(argument).cast_mut().cast()))
}

/// A host function that adds one to the word at its argument.
unsafe extern "C" fn count_up(argument: *mut c_void) {
    let word = argument.cast::<u32>();
    // SAFETY: `count_on_host` gives the first word of pinned memory, which is never freed while a graph may run.
    unsafe { word.write_volatile(word.read_volatile().wrapping_add(1)) }
}

/// `cuLaunchHostFunc` of a function that adds one to the first word of `counter`.
pub fn count_on_host(stream: CUstream, counter: &Pinned) -> CUresult {
    call!(cuLaunchHostFunc(stream, Some(count_up), counter.pointer.cast()))
}

/// A stream callback that does nothing.
unsafe extern "C" fn ignore(_: CUstream, _: CUresult, _: *mut c_void) {}

/// `cuStreamAddCallback`.
pub fn add_callback(stream: CUstream) -> CUresult {
    call!(cuStreamAddCallback(stream, Some(ignore), std::ptr::null_mut(), 0))
}
