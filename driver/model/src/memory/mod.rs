//! Device memory, the host memory that kernels may reach, and memory pools.

mod allocation;
mod array;
mod copy;
mod describe;
mod host;
pub mod pool;
mod reference;
mod shared;
mod space;
mod texture;
mod virtual_memory;
mod window;

use std::sync::MutexGuard;

pub use allocation::{Allocation, Devices, HostAllocation, HostKind, Origin, Place, State, only};
pub use array::{Array, Shape};
pub use copy::{Copy, Fill, Side};
pub use describe::Description;
pub use pool::Pool;
pub use reference::{Bound, Reference};
pub use shared::PoolFile;
pub use space::{AddressSpace, poison};
pub use texture::{ALIGNMENT as TEXTURE_ALIGNMENT, Object, Resource, Sampling};
pub use virtual_memory::{Access, GRANULARITY, Physical};

use super::{Handles, Kind, Settings, device, driver};
use graphproof_api::{CUresult, Cuda};

/// Device memory when `GRAPHPROOF_DEVICE_MEMORY` does not say otherwise: 80 GiB.
const DEFAULT_TOTAL: u64 = 80 << 30;

/// The address space with the pools that allocate from it.
#[derive(Debug)]
pub struct Memory {
    /// Addresses and allocations.
    pub space: AddressSpace,
    /// Pools by handle.
    pub pools: Handles<Pool>,
    of_devices: Vec<DevicePools>,
}

/// The pools of a device, by handle.
#[derive(Debug, Clone, Copy)]
pub struct DevicePools {
    /// Its default pool.
    pub default: u64,
    /// The pool that `cuMemAllocAsync` uses.
    pub current: u64,
}

impl Memory {
    fn new(total: u64, devices: i32) -> Cuda<Self> {
        Ok(Self::within(AddressSpace::new(total, devices)?, devices))
    }

    fn within(space: AddressSpace, devices: i32) -> Self {
        let mut pools = Handles::new(Kind::Pool);
        let of_devices = (0..devices).map(|device| {
            let default = pools.insert(Pool::new(device, 0));
            DevicePools { default, current: default }
        });
        Self { of_devices: of_devices.collect(), space, pools }
    }

    /// The pools of a device that exists.
    pub fn pools_of(&self, device: i32) -> DevicePools {
        self.of_devices[device as usize]
    }

    /// `cuDeviceSetMemPool`.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_VALUE`: no pool, or an imported one. D: `CUDA_ERROR_INVALID_DEVICE`: one of another device.
    pub fn set_current_pool(&mut self, device: i32, handle: u64) -> Cuda {
        let pool = self.pool(handle)?;
        if pool.device != device {
            return Err(CUresult::INVALID_DEVICE);
        }
        if pool.file.as_ref().is_some_and(PoolFile::is_imported) {
            return Err(CUresult::INVALID_VALUE);
        }
        self.of_devices[device as usize].current = handle;
        Ok(())
    }

    /// `cuMemPoolSetAccess` for a device.
    pub fn set_pool_access(&mut self, handle: u64, device: i32, access: bool) -> Cuda {
        self.pool(handle)?.set_access(device, access);
        self.space.set_pool_access(handle, device, access);
        Ok(())
    }

    /// The pool of a handle.
    pub fn pool(&mut self, handle: u64) -> Cuda<&mut Pool> {
        let pool = self.pools.get_mut(handle).filter(|pool| !pool.destroyed);
        pool.ok_or(CUresult::INVALID_VALUE)
    }

    /// Whether a handle named a pool, an array or a physical allocation that is gone.
    pub fn was_destroyed(&self, handle: u64) -> bool {
        self.pools.was_destroyed(handle) || self.space.was_destroyed(handle)
    }

    /// Allocates from a pool.
    pub fn allocate_from(&mut self, handle: u64, bytes: u64) -> Cuda<u64> {
        let pool = self.pool(handle)?;
        let (device, access) = (pool.device, pool.access());
        // D (cuMemPoolImportFromShareableHandle): it makes no allocations.
        if pool.file.as_ref().is_some_and(PoolFile::is_imported) {
            return Err(CUresult::INVALID_VALUE);
        }
        if pool.max_size != 0 && pool.used().saturating_add(bytes) > pool.max_size {
            return Err(CUresult::OUT_OF_MEMORY);
        }
        // Bytes that this pool has cached are its own to use.
        let cached = pool.cached();
        self.space.set_cached(device, self.cached(device) - cached);
        let mut allocated = self.space.allocate_on(device, bytes, Origin::Pool(handle), access);
        if let Ok(base) = allocated {
            match self.back_from_pool(handle, base, bytes) {
                Ok(()) => self.pool(handle)?.allocated(bytes),
                Err(code) => {
                    let _ = self.space.free(base);
                    allocated = Err(code);
                }
            }
        }
        self.count_cached(device);
        allocated
    }

    /// Frees an allocation of any origin; the pool of it keeps the bytes.
    pub fn free(&mut self, base: u64) -> Cuda {
        let allocation = self.space.free(base)?;
        if let Origin::Pool(handle) = allocation.origin {
            if let Some(pool) = self.pools.get_mut(handle) {
                pool.freed(allocation.len);
                if pool.destroyed {
                    pool.trim(0);
                    if pool.used() == 0 {
                        self.pools.remove(handle);
                    }
                }
            }
            self.count_cached(allocation.device);
        }
        Ok(())
    }

    /// What executing a free does: a graph's allocation keeps its address for the next launch.
    pub fn free_executed(&mut self, base: u64) -> Cuda {
        match self.space.place(base) {
            Some(Place::Device(found)) if found.base == base && found.origin == Origin::Graph => {
                self.space.take_memory(base).map(|_| ())
            }
            _ => self.free(base),
        }
    }

    /// What a synchronisation does to the pools.
    pub fn synchronised(&mut self) {
        if self.space_cached() {
            let handles: Vec<u64> = self.pools.iter().map(|(handle, _)| handle).collect();
            for handle in handles {
                if let Some(pool) = self.pools.get_mut(handle) {
                    pool.synchronised();
                }
            }
            (0..self.of_devices.len() as i32).for_each(|device| self.count_cached(device));
        }
    }

    /// Destroys a pool; it goes when its last allocation is freed.
    pub fn destroy_pool(&mut self, handle: u64) -> Cuda {
        if self.of_devices.iter().any(|device| device.default == handle) {
            return Err(CUresult::INVALID_VALUE);
        }
        let pool = self.pool(handle)?;
        let device = pool.device;
        pool.trim(0);
        pool.destroyed = true;
        if pool.used() == 0 {
            self.pools.remove(handle);
        }
        let pools = &mut self.of_devices[device as usize];
        if pools.current == handle {
            pools.current = pools.default;
        }
        self.count_cached(device);
        Ok(())
    }

    /// Trims a pool to `keep` bytes.
    pub fn trim(&mut self, handle: u64, keep: u64) -> Cuda {
        let pool = self.pool(handle)?;
        pool.trim(keep);
        let device = pool.device;
        self.count_cached(device);
        Ok(())
    }

    fn space_cached(&self) -> bool {
        self.pools.iter().any(|(_, pool)| pool.cached() > 0)
    }

    fn cached(&self, device: i32) -> u64 {
        self.pools.iter().filter(|(_, pool)| pool.device == device).map(|(_, pool)| pool.cached()).sum()
    }

    fn count_cached(&mut self, device: i32) {
        self.space.set_cached(device, self.cached(device));
    }
}

/// The memory of the driver that the calling thread means.
pub fn memory() -> MutexGuard<'static, Memory> {
    driver().memory()
}

const SETTING: &str = "GRAPHPROOF_DEVICE_MEMORY";

impl Memory {
    /// As large as the setting says, as far as the process may reserve address space; says so on standard
    /// error where it is less.
    pub(super) fn of_the_devices(settings: &Settings) -> Self {
        let asked = settings.get(SETTING);
        let parsed = asked.as_deref().map(parse_size);
        if let (Some(asked), Some(None)) = (&asked, parsed) {
            eprintln!("graphproof: {SETTING}={asked:?} is no size, such as 512MiB or 80GiB; the device has 80 GiB");
        }
        let wanted = parsed.flatten().unwrap_or(DEFAULT_TOTAL);
        let limits = "RLIMIT_AS (ulimit -v), RLIMIT_DATA (ulimit -d) or vm.overcommit_memory limits it";
        match Self::new(wanted, device::count()) {
            Ok(memory) => {
                let total = memory.space.total();
                if total < wanted {
                    eprintln!(
                        "graphproof: the device has {} MiB of memory instead of {} MiB: this process may reserve no \
                         more address space ({limits}); {SETTING} sets the size",
                        total >> 20,
                        wanted >> 20
                    );
                }
                memory
            }
            Err(_) => {
                eprintln!(
                    "graphproof: no device: this process may not reserve 300 MiB of address space for its memory and \
                     for itself ({limits})"
                );
                Self::none()
            }
        }
    }

    /// No memory at all.
    pub(super) fn none() -> Self {
        Self::within(AddressSpace::none(device::count()), device::count())
    }
}

/// A size such as `80GiB`, `512M` or `1073741824`.
pub fn parse_size(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..digits].parse().ok()?;
    let unit = text[digits..].trim().to_ascii_lowercase();
    let shift = match unit.trim_end_matches("ib").trim_end_matches('b') {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        "t" => 40,
        _ => return None,
    };
    number.checked_mul(1 << shift).filter(|&bytes| bytes > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_their_unit() {
        assert_eq!(parse_size("80GiB"), Some(80 << 30));
        assert_eq!(parse_size(" 512 M "), Some(512 << 20));
        assert_eq!(parse_size("4096"), Some(4096));
        assert_eq!(parse_size("0"), None);
        assert_eq!(parse_size("1 parsec"), None);
        assert_eq!(parse_size("99999999999T"), None);
    }

    #[test]
    fn bounds_are_exact_and_addresses_are_used_again_late() {
        let mut space = AddressSpace::new(1 << 40, 1).unwrap();
        let a = space.allocate(1000, Origin::Plain(0)).unwrap();
        assert!(a.is_multiple_of(512));
        assert!(space.locate(a, 1000).is_some());
        assert!(space.locate(a, 1001).is_none());
        assert!(space.locate(a + 1000, 1).is_none());
        space.free(a).unwrap();
        assert!(space.locate(a, 1).is_none());
        assert_eq!(space.free(a).err(), Some(CUresult::INVALID_VALUE));
        let b = space.allocate(1000, Origin::Plain(0)).unwrap();
        assert_ne!(a, b);
        assert!(matches!(space.describe(a + 8), Description::Freed(_, 8)));
        assert!(matches!(space.describe(b + 1000), Description::Past(_, 0)));
        assert!(matches!(space.describe(b - 4), Description::Before(_, 4)));
        assert!(matches!(space.describe(b + 999), Description::Inside(_, 999)));
        assert!(matches!(space.describe(16), Description::Foreign));
    }

    #[test]
    fn a_huge_allocation_costs_nothing_and_the_total_holds() {
        let mut space = AddressSpace::new(80 << 30, 1).unwrap();
        let huge = space.allocate(64 << 30, Origin::Plain(0)).unwrap();
        assert_eq!(space.free_bytes(0), 16 << 30);
        assert_eq!(space.allocate(17 << 30, Origin::Plain(0)).err(), Some(CUresult::OUT_OF_MEMORY));
        space.free(huge).unwrap();
        assert_eq!((space.live(), space.high_water()), (0, 64 << 30));
        // Far more than the window holds in all: addresses come round again.
        for _ in 0..200 {
            let huge = space.allocate(64 << 30, Origin::Plain(0)).unwrap();
            space.free(huge).unwrap();
        }
    }

    #[test]
    fn fresh_memory_is_poisoned() {
        let mut space = AddressSpace::new(1 << 30, 1).unwrap();
        let base = space.allocate(7, Origin::Plain(0)).unwrap();
        let bytes = space.locate(base, 7).unwrap();
        // SAFETY: seven bytes of a live allocation.
        let bytes = unsafe { std::slice::from_raw_parts(bytes, 7) };
        assert_eq!(bytes, [0xba, 0xff, 0xba, 0xff, 0xba, 0xff, 0xba]);
    }

    #[test]
    fn a_pool_keeps_what_is_freed_until_a_synchronisation() {
        let mut memory = Memory::new(1 << 20, 1).unwrap();
        let pool = memory.pools_of(0).default;
        let a = memory.allocate_from(pool, 1000).unwrap();
        memory.free(a).unwrap();
        assert_eq!(memory.space.free_bytes(0), (1 << 20) - 1000);
        let b = memory.allocate_from(pool, 1 << 20).unwrap();
        memory.free(b).unwrap();
        memory.synchronised();
        assert_eq!(memory.space.free_bytes(0), 1 << 20);
        assert_eq!(memory.pool(pool).unwrap().get(pool::attribute::USED_MEM_HIGH), Ok(pool::Value::Long(1 << 20)));
    }
}
