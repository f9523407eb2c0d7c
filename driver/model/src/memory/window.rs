//! The window of device addresses, and the memory behind it.
//!
//! Device addresses lie in a reservation without any access right: a host that dereferences one
//! dies, as with a GPU. The bytes lie in a second reservation of the same layout, whose pages
//! cost nothing until they are touched.
//!
//! A process may be short of address space (RLIMIT_AS, RLIMIT_DATA, `vm.overcommit_memory`). Then only
//! the bytes are reserved, as many as there is room for, and device addresses lie where no process on
//! these machines has memory.

use std::ptr;

use graphproof_api::{CUresult, Cuda};

/// Where the window lies when that is free: the same in every run, so that addresses repeat.
const HINT: usize = 0x7000_0000_0000;
/// Window sizes to try where address space is plenty: addresses are used again late.
const SIZES: [u64; 3] = [4 << 40, 1 << 40, 256 << 30];
/// Where a window lies whose addresses are not reserved: no address of a process with 48 bits of them,
/// and with more bits one that Linux gives nobody who does not ask for it.
const BARE: u64 = 1 << 48;
/// The least device that is any use, in bytes.
const LEAST: u64 = 32 << 20;
/// Address space that must be left to the process, in bytes.
const SPARE: usize = 256 << 20;
/// Unit in which pages are given back.
pub const PAGE: u64 = 4096;

/// Both reservations.
#[derive(Debug)]
pub struct Window {
    base: u64,
    shadow: *mut u8,
    len: u64,
}

// SAFETY: the pointers are addresses of reservations that live as long as the window; access to
// the bytes behind them follows CUDA's own rules for concurrent device access.
unsafe impl Send for Window {}
// SAFETY: as above.
unsafe impl Sync for Window {}

impl Window {
    /// Reserves the window of a device with `total` bytes of memory, or of a smaller one where the process
    /// may not reserve so much: [`Window::capacity`] tells.
    ///
    /// # Errors
    /// `CUDA_ERROR_OUT_OF_MEMORY`: there is not even room for the least.
    pub fn reserve(total: u64) -> Cuda<Self> {
        let roomy = SIZES.into_iter().filter(|&len| len >= with_guards(total)).find_map(Self::with_addresses);
        roomy.or_else(|| Self::without_addresses(total)).ok_or(CUresult::OUT_OF_MEMORY)
    }

    /// No window at all: nothing can be allocated in it.
    pub fn none() -> Self {
        Self { base: BARE, shadow: ptr::null_mut(), len: 0 }
    }

    /// Bytes of device memory that there is room for, guard pages of many allocations included.
    pub fn capacity(&self) -> u64 {
        (self.len.saturating_sub(GUARDS) / 17 * 16) / PAGE * PAGE
    }

    fn without_addresses(total: u64) -> Option<Self> {
        let halves = std::iter::successors(Some(total.max(LEAST)), |&total| (total / 2 >= LEAST).then_some(total / 2));
        halves.map(with_guards).find_map(|len| {
            let both = libc::PROT_READ | libc::PROT_WRITE;
            let shadow = map(0, usize::try_from(len).ok()?, both, 0)?;
            let spare = map(0, SPARE, both, 0);
            // SAFETY: both were mapped just now with these lengths, and nobody knows them yet.
            unsafe {
                match spare {
                    Some(spare) => libc::munmap(spare.cast(), SPARE),
                    None => libc::munmap(shadow.cast(), len as usize),
                };
            }
            spare.map(|_| Self { base: BARE, shadow, len })
        })
    }

    fn with_addresses(len: u64) -> Option<Self> {
        let len = usize::try_from(len).ok()?;
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

    /// Puts a part of a file behind `[address, address + len)`, whole pages, or again nothing but zeros.
    pub fn put(&self, address: u64, len: u64, file: Option<(i32, u64)>) -> Cuda {
        let both = libc::PROT_READ | libc::PROT_WRITE;
        let (kind, descriptor, offset) = match file {
            Some((descriptor, offset)) => (libc::MAP_SHARED, descriptor, offset as i64),
            None => (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0),
        };
        let flags = kind | libc::MAP_FIXED | libc::MAP_NORESERVE;
        // SAFETY: the range lies in the shadow reservation, and the caller has it for itself.
        let mapped = unsafe { libc::mmap(self.host(address).cast(), len as usize, both, flags, descriptor, offset) };
        if mapped == libc::MAP_FAILED { Err(CUresult::OUT_OF_MEMORY) } else { Ok(()) }
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

impl Drop for Window {
    fn drop(&mut self) {
        let len = self.len as usize;
        // SAFETY: reservations of this window alone, with this length. Its driver is closed: no work runs
        // that has an address of them.
        unsafe {
            if !self.shadow.is_null() {
                libc::munmap(self.shadow.cast(), len);
            }
            if self.base != BARE {
                libc::munmap(ptr::without_provenance_mut(self.base as usize), len);
            }
        }
    }
}

/// For guard pages beyond one for sixteen of memory.
const GUARDS: u64 = 16 << 20;

/// The length of the window for a device with `total` bytes.
fn with_guards(total: u64) -> u64 {
    total.saturating_add(total / 16).saturating_add(GUARDS).saturating_add(PAGE) / PAGE * PAGE
}

/// Maps private pages that cost nothing until touched.
pub fn map(hint: usize, len: usize, protection: i32, flags: i32) -> Option<*mut u8> {
    let flags = flags | libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    // SAFETY: an anonymous mapping at an address that the kernel chooses or finds free.
    let mapped = unsafe { libc::mmap(ptr::without_provenance_mut(hint), len, protection, flags, -1, 0) };
    (mapped != libc::MAP_FAILED).then_some(mapped.cast())
}
