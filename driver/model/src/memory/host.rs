//! Host memory that kernels may reach: pinned, managed, registered.

use super::allocation::{HostAllocation, HostKind};
use super::space::AddressSpace;
use super::window::map;
use graphproof_api::{CUresult, Cuda};

impl AddressSpace {
    /// Allocates host memory that kernels may reach.
    pub fn allocate_host(&mut self, len: u64, kind: HostKind, flags: u32, device: i32) -> Cuda<u64> {
        if len == 0 || len > isize::MAX as u64 {
            return Err(CUresult::INVALID_VALUE);
        }
        let mapped = map(0, len as usize, libc::PROT_READ | libc::PROT_WRITE, 0).ok_or(CUresult::OUT_OF_MEMORY)?;
        self.add_host(HostAllocation { base: mapped as u64, len, kind, flags, number: 0, device });
        Ok(mapped as u64)
    }

    /// Frees what [`AddressSpace::allocate_host`] gave. The device must be idle.
    pub fn free_host(&mut self, base: u64, kind: HostKind) -> Cuda {
        let found = self.host.get(&base).filter(|found| found.kind == kind).ok_or(CUresult::INVALID_VALUE)?;
        // SAFETY: this mapping was made by `allocate_host` with this length.
        unsafe { libc::munmap(base as *mut libc::c_void, found.len as usize) };
        self.host.remove(&base);
        self.ranges.clear();
        Ok(())
    }

    /// Makes the caller's memory known to the device.
    pub fn register(&mut self, base: u64, len: u64, flags: u32, device: i32) -> Cuda {
        let end = base.checked_add(len).ok_or(CUresult::INVALID_VALUE)?;
        if base == 0 || len == 0 || self.window.contains(base) || self.window.contains(end - 1) {
            return Err(CUresult::INVALID_VALUE);
        }
        let overlaps = self.host.range(..end).next_back().is_some_and(|(_, before)| before.base + before.len > base);
        if overlaps {
            return Err(CUresult::HOST_MEMORY_ALREADY_REGISTERED);
        }
        self.add_host(HostAllocation { base, len, kind: HostKind::Registered, flags, number: 0, device });
        Ok(())
    }

    /// Takes back [`AddressSpace::register`].
    pub fn unregister(&mut self, base: u64) -> Cuda {
        let registered = self.host.get(&base).is_some_and(|found| found.kind == HostKind::Registered);
        if !registered {
            return Err(CUresult::HOST_MEMORY_NOT_REGISTERED);
        }
        self.host.remove(&base);
        self.ranges.clear();
        Ok(())
    }

    /// Host memory that kernels may reach: where it begins, and its bytes.
    pub fn host_ranges(&self) -> Vec<(u64, u64)> {
        self.host.values().map(|found| (found.base, found.len)).collect()
    }

    fn add_host(&mut self, mut allocation: HostAllocation) {
        allocation.number = self.next_number();
        self.host.insert(allocation.base, allocation);
        self.ranges.clear();
    }
}
