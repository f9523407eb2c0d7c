//! `cuGetProcAddress`: the entry point of a name for a CUDA version.

use std::ffi::{c_char, c_int, c_uint, c_void};

use graphproof_api::{NotFound, select};

use super::args::{not_null, text, write, write_if};
use super::{CUresult, Cuda, find};
use crate::software::version;

const SUCCESS: c_uint = 0;
const NOT_FOUND: c_uint = 1;
const VERSION_NOT_SUFFICIENT: c_uint = 2;

fn get(name: *const c_char, target: *mut *mut c_void, version: c_int, flags: u64, status: *mut c_uint) -> Cuda {
    const PER_THREAD: u64 = 2;
    not_null(target)?;
    // SAFETY: the caller's string.
    let name = unsafe { text(name) }?;
    let asked = u32::try_from(version).map_err(|_| CUresult::INVALID_VALUE)?;
    // A version beyond the driver's own is refused; measured on an H200, driver 580.159.04.
    if flags > PER_THREAD || asked > version::answered().number {
        return Err(CUresult::INVALID_VALUE);
    }
    let found = select(name, asked, flags == PER_THREAD);
    let (address, code) = match found.map(|choice| find(&choice.name())) {
        Ok(Some(symbol)) => (symbol.function as *mut c_void, SUCCESS),
        Ok(None) | Err(NotFound::Symbol) => (std::ptr::null_mut(), NOT_FOUND),
        Err(NotFound::Version) => (std::ptr::null_mut(), VERSION_NOT_SUFFICIENT),
    };
    // SAFETY: the caller's pointers.
    unsafe {
        write(target, address)?;
        write_if(status, code);
    }
    // With a place for the status, a name that is not there is an answer, not an error.
    if code == SUCCESS || !status.is_null() { Ok(()) } else { Err(CUresult::NOT_FOUND) }
}

entry_points! {
    fn cuGetProcAddress(symbol: *const c_char, pfn: *mut *mut c_void, cudaVersion: c_int, flags: u64) {
        get(symbol, pfn, cudaVersion, flags, std::ptr::null_mut())
    }

    fn cuGetProcAddress_v2(
        symbol: *const c_char, pfn: *mut *mut c_void, cudaVersion: c_int, flags: u64, symbolStatus: *mut c_uint
    ) {
        get(symbol, pfn, cudaVersion, flags, symbolStatus)
    }
}
