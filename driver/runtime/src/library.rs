//! Where programs ask the runtime for the driver's own functions.

use std::ffi::{c_char, c_void};

use crate::door::{self, Failure, Outcome, entry_points, plain_entry_points};
use crate::driver;
use crate::types::write;

/// What a program that names no version was built for.
const VERSION: i32 = 13_000;
/// `cudaEnablePerThreadDefaultStream`, and the driver's flag for it.
const PER_THREAD: u64 = 2;

/// # Safety
/// `symbol` is a terminated string, the others are null or places for results.
unsafe fn entry_point(
    symbol: *const c_char,
    function: *mut *mut c_void,
    version: i32,
    flags: u64,
    status: *mut u32,
) -> Outcome {
    if symbol.is_null() || function.is_null() || flags > PER_THREAD {
        return Err(Failure::INVALID_VALUE);
    }
    let flags = if door::is_per_thread() && flags == 0 { PER_THREAD } else { flags };
    // The answer for a name that is not there is a status, and success.
    let mut own = 0u32;
    let place = if status.is_null() { &raw mut own } else { status };
    // SAFETY: as the caller vouches.
    unsafe { driver::cuGetProcAddress_v2(symbol.cast(), function.cast(), version, flags, place.cast()) }
}

entry_points! {
    fn cudaGetDriverEntryPoint(symbol: *const c_char, funcPtr: *mut *mut c_void, flags: u64, driverStatus: *mut u32) {
        unsafe { entry_point(symbol, funcPtr, VERSION, flags, driverStatus) }
    }

    fn cudaGetDriverEntryPointByVersion(
        symbol: *const c_char, funcPtr: *mut *mut c_void, cudaVersion: u32, flags: u64, driverStatus: *mut u32
    ) {
        let version = i32::try_from(cudaVersion).map_err(|_| Failure::INVALID_VALUE)?;
        unsafe { entry_point(symbol, funcPtr, version, flags, driverStatus) }
    }
}

plain_entry_points! {
    fn cudaGetExportTable(ppExportTable: *mut *const c_void, pExportTableId: *const c_void) {
        let _ = pExportTableId;
        unsafe { write(ppExportTable, std::ptr::null()) }?;
        door::note("a library asks for private tables of NVIDIA's runtime, which are not imitated".into());
        Err(Failure::NOT_SUPPORTED)
    }
}
