//! `cuGetProcAddress`: the entry point of a name for a CUDA version.

use std::ffi::{c_char, c_int, c_uint, c_void};

use super::args::{not_null, text, write, write_if};
use super::{CUresult, Cuda, SYMBOLS, Symbol};
use crate::software::device::DRIVER_VERSION;

const SUCCESS: c_uint = 0;
const NOT_FOUND: c_uint = 1;
const VERSION_NOT_SUFFICIENT: c_uint = 2;

/// The newest form of `name` that a program built for `version` may use: of `cuMemAlloc` and
/// 13000, `cuMemAlloc_v2`. A name with its suffix is taken as it is.
fn lookup(name: &str, version: u32) -> Result<&'static Symbol, c_uint> {
    let forms = SYMBOLS.iter().filter(|symbol| symbol.name == name || is_form(symbol.name, name));
    let newest = forms.clone().filter(|symbol| symbol.since <= version).max_by_key(|symbol| symbol.since);
    match newest {
        Some(symbol) => Ok(symbol),
        None if forms.count() > 0 => Err(VERSION_NOT_SUFFICIENT),
        None => Err(NOT_FOUND),
    }
}

/// Whether `name` is `base` with a version suffix.
fn is_form(name: &str, base: &str) -> bool {
    let suffix = name.strip_prefix(base).and_then(|rest| rest.strip_prefix("_v"));
    suffix.is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
}

fn get(name: *const c_char, target: *mut *mut c_void, version: c_int, flags: u64, status: *mut c_uint) -> Cuda {
    const PER_THREAD: u64 = 2;
    not_null(target)?;
    // SAFETY: the caller's string.
    let name = unsafe { text(name) }?;
    let version = u32::try_from(version).map_err(|_| CUresult::INVALID_VALUE)?;
    // A version beyond the driver's own is refused; measured on an H200, driver 580.159.04.
    if flags > PER_THREAD || version > DRIVER_VERSION.unsigned_abs() {
        return Err(CUresult::INVALID_VALUE);
    }
    // Forms whose default stream is the per-thread one exist for calls with a default stream
    // only, and this driver has none of them; the plain form answers for the rest.
    let found = lookup(name, version);
    let (address, code) = match &found {
        Ok(symbol) => (symbol.function as *mut c_void, SUCCESS),
        Err(code) => (std::ptr::null_mut(), *code),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abi::find;

    #[test]
    fn the_version_chooses_the_form() {
        let name = |name, version| lookup(name, version).map(|symbol| symbol.name);
        assert_eq!(name("cuMemAlloc", 13000), Ok("cuMemAlloc_v2"));
        assert_eq!(name("cuCtxCreate", 12000), Ok("cuCtxCreate_v3"));
        assert_eq!(name("cuCtxCreate", 13000), Ok("cuCtxCreate_v4"));
        assert_eq!(name("cuStreamGetCaptureInfo", 11000), Ok("cuStreamGetCaptureInfo"));
        assert_eq!(name("cuStreamGetCaptureInfo", 12030), Ok("cuStreamGetCaptureInfo_v3"));
        assert_eq!(name("cuMemAllocAsync", 11000), Err(VERSION_NOT_SUFFICIENT));
        assert_eq!(name("cuMemAlloc_v2", 13000), Ok("cuMemAlloc_v2"));
        assert_eq!(name("cuNothing", 13000), Err(NOT_FOUND));
    }

    #[test]
    fn every_name_is_found_and_the_table_is_sorted() {
        assert!(SYMBOLS.is_sorted_by_key(|symbol| symbol.name));
        for symbol in &SYMBOLS {
            assert!(find(symbol.name).is_some_and(|found| std::ptr::eq(found, symbol)));
            assert!(lookup(symbol.name, 13050).is_ok(), "{}", symbol.name);
        }
    }
}
