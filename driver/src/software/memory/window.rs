//! The window of device addresses, and the memory behind it.
//!
//! Device addresses lie in a reservation without any access right: a host that dereferences one
//! dies, as with a GPU. The bytes lie in a second reservation of the same layout, whose pages
//! cost nothing until they are touched.

use std::ptr;

use crate::abi::{CUresult, Cuda};

/// Where the window lies when that is free: the same in every run, so that addresses repeat.
const HINT: usize = 0x7000_0000_0000;
/// Window sizes to try, for machines that limit address space.
const SIZES: [usize; 4] = [4 << 40, 1 << 40, 256 << 30, 32 << 30];
/// Unit in which pages are given back.
pub const PAGE: u64 = 4096;

/// Both reservations.
#[derive(Debug)]
pub struct Window {
    base: u64,
    shadow: *mut u8,
    len: u64,
}

// SAFETY: the pointers are addresses of reservations that live as long as the process; access to
// the bytes behind them follows CUDA's own rules for concurrent device access.
unsafe impl Send for Window {}
// SAFETY: as above.
unsafe impl Sync for Window {}

impl Window {
    /// Reserves the window; `CUDA_ERROR_OUT_OF_MEMORY` if the process may not reserve enough.
    pub fn reserve() -> Cuda<Self> {
        SIZES.into_iter().find_map(Self::try_reserve).ok_or(CUresult::OUT_OF_MEMORY)
    }

    fn try_reserve(len: usize) -> Option<Self> {
        let nothing = libc::PROT_NONE;
        let both = libc::PROT_READ | libc::PROT_WRITE;
        let base = map(HINT, len, nothing, libc::MAP_FIXED_NOREPLACE).or_else(|| map(0, len, nothing, 0))?;
        match map(0, len, both, 0) {
            Some(shadow) => Some(Self { base: base as u64, shadow, len: len as u64 }),
            None => {
                // SAFETY: `base` was mapped above with this length and nobody knows it yet.
                unsafe { libc::munmap(base.cast(), len) };
                None
            }
        }
    }

    /// First device address.
    pub fn base(&self) -> u64 {
        self.base
    }

    /// One past the last device address.
    pub fn end(&self) -> u64 {
        self.base + self.len
    }

    /// Whether a device address may lie here.
    pub fn contains(&self, address: u64) -> bool {
        (self.base..self.end()).contains(&address)
    }

    /// The byte behind a device address of the window.
    pub fn host(&self, address: u64) -> *mut u8 {
        debug_assert!(self.contains(address));
        self.shadow.wrapping_add((address - self.base) as usize)
    }

    /// Gives the pages of `[address, address + len)` back; they read as zeros again. Both ends
    /// are rounded outwards to whole pages, which the allocator keeps free of other allocations.
    pub fn discard(&self, address: u64, len: u64) {
        let start = address / PAGE * PAGE;
        let end = (address + len).div_ceil(PAGE) * PAGE;
        // SAFETY: the range lies in the shadow reservation, in pages of this allocation alone.
        unsafe { libc::madvise(self.host(start).cast(), (end - start) as usize, libc::MADV_DONTNEED) };
    }
}

/// Maps private pages that cost nothing until touched.
pub fn map(hint: usize, len: usize, protection: i32, flags: i32) -> Option<*mut u8> {
    let flags = flags | libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    // SAFETY: an anonymous mapping at an address that the kernel chooses or finds free.
    let mapped = unsafe { libc::mmap(ptr::without_provenance_mut(hint), len, protection, flags, -1, 0) };
    (mapped != libc::MAP_FAILED).then_some(mapped.cast())
}
