//! Reading arguments from C and writing results to it.

use std::ffi::{CStr, c_char};
use std::mem::MaybeUninit;

use super::{CUresult, Cuda};

/// Writes a result through a caller's pointer; null is `CUDA_ERROR_INVALID_VALUE`.
///
/// # Safety
/// `target` is null or valid for a write of `T`.
pub(crate) unsafe fn write<T>(target: *mut T, value: T) -> Cuda {
    if target.is_null() {
        return Err(CUresult::INVALID_VALUE);
    }
    // SAFETY: not null, and the caller vouches for the rest.
    unsafe { target.write_unaligned(value) };
    Ok(())
}

/// As [`write`], for an optional output.
///
/// # Safety
/// `target` is null or valid for a write of `T`.
pub(crate) unsafe fn write_if<T>(target: *mut T, value: T) {
    if !target.is_null() {
        // SAFETY: not null, and the caller vouches for the rest.
        unsafe { target.write_unaligned(value) };
    }
}

/// An argument as the record keeps it: its bits, of a structure passed by value the first eight bytes.
pub(crate) fn word<T: Copy>(argument: T) -> u64 {
    let mut word = MaybeUninit::<u64>::zeroed();
    // SAFETY: as many bytes as both have; arguments of the C ABI have no padding among the first eight,
    // and the rest of the word is zero.
    unsafe {
        word.as_mut_ptr().cast::<u8>().copy_from((&raw const argument).cast(), size_of::<T>().min(8));
        word.assume_init()
    }
}

/// Refuses a null pointer before anything has happened.
pub(crate) fn not_null<T>(pointer: *const T) -> Cuda {
    if pointer.is_null() { Err(CUresult::INVALID_VALUE) } else { Ok(()) }
}

/// Reads a structure; null is `CUDA_ERROR_INVALID_VALUE`.
///
/// # Safety
/// `source` is null or valid for a read of `T`.
pub(crate) unsafe fn read<T: Copy>(source: *const T) -> Cuda<T> {
    not_null(source)?;
    // SAFETY: not null, and the caller vouches for the rest.
    Ok(unsafe { source.read_unaligned() })
}

/// Reads `count` elements; null is fine when there are none.
///
/// # Safety
/// `source` is null or valid for reads of `count` elements for as long as the result lives.
pub(crate) unsafe fn slice<'a, T>(source: *const T, count: usize) -> Cuda<&'a [T]> {
    if count == 0 {
        return Ok(&[]);
    }
    if source.is_null() || !source.is_aligned() || count > isize::MAX as usize / size_of::<T>().max(1) {
        return Err(CUresult::INVALID_VALUE);
    }
    // SAFETY: not null, aligned, and the caller vouches for the rest.
    Ok(unsafe { std::slice::from_raw_parts(source, count) })
}

/// Reads a C string; null or not UTF-8 is `CUDA_ERROR_INVALID_VALUE`.
///
/// # Safety
/// `source` is null or a NUL-terminated string that lives as long as the result.
pub(crate) unsafe fn text<'a>(source: *const c_char) -> Cuda<&'a str> {
    not_null(source)?;
    // SAFETY: not null, and the caller vouches for the terminator.
    unsafe { CStr::from_ptr(source) }.to_str().map_err(|_| CUresult::INVALID_VALUE)
}
