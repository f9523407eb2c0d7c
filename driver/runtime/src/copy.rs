//! Copies of one dimension.

use crate::door::{Failure, Outcome, entry_points};
use crate::types::Pointer;
use crate::{driver, registry};

/// `cudaMemcpyKind`.
pub(crate) const HOST_TO_HOST: u32 = 0;
pub(crate) const HOST_TO_DEVICE: u32 = 1;
pub(crate) const DEVICE_TO_HOST: u32 = 2;
pub(crate) const DEVICE_TO_DEVICE: u32 = 3;
pub(crate) const DEFAULT: u32 = 4;

/// # Safety
/// Both ranges are valid for what the kind says.
unsafe fn copy(dst: u64, src: u64, count: usize, kind: u32) -> Outcome {
    let (to, from) = (pointer(dst), pointer(src));
    // SAFETY: as the caller vouches.
    unsafe {
        match kind {
            _ if count == 0 => Ok(()),
            HOST_TO_DEVICE => driver::cuMemcpyHtoD_v2(dst, from, count),
            DEVICE_TO_HOST => driver::cuMemcpyDtoH_v2(to, src, count),
            DEVICE_TO_DEVICE => driver::cuMemcpyDtoD_v2(dst, src, count),
            HOST_TO_HOST | DEFAULT => driver::cuMemcpy(dst, src, count),
            _ => Err(Failure::INVALID_MEMCPY_DIRECTION),
        }
    }
}

/// # Safety
/// As [`copy`], until the copy is done.
unsafe fn copy_on(dst: u64, src: u64, count: usize, kind: u32, stream: usize) -> Outcome {
    let (to, from) = (pointer(dst), pointer(src));
    // SAFETY: as the caller vouches.
    unsafe {
        match kind {
            _ if count == 0 => Ok(()),
            HOST_TO_DEVICE => driver::cuMemcpyHtoDAsync_v2(dst, from, count, stream),
            DEVICE_TO_HOST => driver::cuMemcpyDtoHAsync_v2(to, src, count, stream),
            DEVICE_TO_DEVICE => driver::cuMemcpyDtoDAsync_v2(dst, src, count, stream),
            HOST_TO_HOST | DEFAULT => driver::cuMemcpyAsync(dst, src, count, stream),
            _ => Err(Failure::INVALID_MEMCPY_DIRECTION),
        }
    }
}

fn pointer(address: u64) -> Pointer {
    std::ptr::without_provenance_mut(address as usize)
}

/// The part of a symbol that a copy names.
fn part(symbol: usize, offset: usize, count: usize) -> Outcome<u64> {
    let (address, size) = registry::variable(symbol)?;
    let end = offset.checked_add(count).filter(|&end| end <= size);
    end.map(|_| address + offset as u64).ok_or(Failure::INVALID_VALUE)
}

fn to_symbol(kind: u32) -> Outcome {
    let allowed = matches!(kind, HOST_TO_DEVICE | DEVICE_TO_DEVICE | DEFAULT);
    if allowed { Ok(()) } else { Err(Failure::INVALID_MEMCPY_DIRECTION) }
}

fn from_symbol(kind: u32) -> Outcome {
    let allowed = matches!(kind, DEVICE_TO_HOST | DEVICE_TO_DEVICE | DEFAULT);
    if allowed { Ok(()) } else { Err(Failure::INVALID_MEMCPY_DIRECTION) }
}

entry_points! {
    fn cudaMemcpy(dst: u64, src: u64, count: usize, kind: u32) {
        unsafe { copy(dst, src, count, kind) }
    }

    fn cudaMemcpyAsync(dst: u64, src: u64, count: usize, kind: u32, stream: usize) {
        unsafe { copy_on(dst, src, count, kind, stream) }
    }

    fn cudaMemcpyPeer(dst: u64, dstDevice: i32, src: u64, srcDevice: i32, count: usize) {
        let contexts = (crate::door::primary(dstDevice)?, crate::door::primary(srcDevice)?);
        unsafe { driver::cuMemcpyPeer(dst, contexts.0, src, contexts.1, count) }
    }

    fn cudaMemcpyPeerAsync(dst: u64, dstDevice: i32, src: u64, srcDevice: i32, count: usize, stream: usize) {
        let contexts = (crate::door::primary(dstDevice)?, crate::door::primary(srcDevice)?);
        unsafe { driver::cuMemcpyPeerAsync(dst, contexts.0, src, contexts.1, count, stream) }
    }

    fn cudaMemcpyToSymbol(symbol: usize, src: u64, count: usize, offset: usize, kind: u32) {
        to_symbol(kind)?;
        unsafe { copy(part(symbol, offset, count)?, src, count, kind) }
    }

    fn cudaMemcpyFromSymbol(dst: u64, symbol: usize, count: usize, offset: usize, kind: u32) {
        from_symbol(kind)?;
        unsafe { copy(dst, part(symbol, offset, count)?, count, kind) }
    }

    fn cudaMemcpyToSymbolAsync(symbol: usize, src: u64, count: usize, offset: usize, kind: u32, stream: usize) {
        to_symbol(kind)?;
        unsafe { copy_on(part(symbol, offset, count)?, src, count, kind, stream) }
    }

    fn cudaMemcpyFromSymbolAsync(dst: u64, symbol: usize, count: usize, offset: usize, kind: u32, stream: usize) {
        from_symbol(kind)?;
        unsafe { copy_on(dst, part(symbol, offset, count)?, count, kind, stream) }
    }
}
