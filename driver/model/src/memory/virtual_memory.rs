//! Virtual memory management: reserved addresses, physical allocations, and mappings of the one to the
//! other.
//!
//! Physical allocations are parts of one memory file, and a mapping puts a part of it behind device
//! addresses: several mappings of one allocation show the same bytes, and mappings side by side are one
//! range to a kernel and to a copy. Offsets in the file are not used again; what is freed costs nothing. In
//! front of each allocation lies a page for what another process must know of it (`software::share`).

use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;

use super::allocation::{Allocation, Origin, State, only};
use super::space::{AddressSpace, after, with};
use crate::share::{HEADER, Kind, Share, memory_file, punch};
use crate::{Handles, Kind as HandleKind};
use graphproof_api::{CUresult, Cuda};

/// What addresses and sizes of physical allocations and mappings are multiples of, in bytes: 2 MiB, as on
/// an H200.
pub const GRANULARITY: u64 = 2 << 20;

/// `CUmemAccess_flags` of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
#[allow(missing_docs, reason = "the names are CUDA's")]
pub enum Access {
    None = 0,
    ReadWrite = 3,
}

/// A physical allocation: it lasts until its handle is released and its last mapping is gone.
#[derive(Debug)]
pub struct Physical {
    /// Size in bytes.
    pub len: u64,
    /// The device whose memory it is.
    pub device: i32,
    /// `CUmemAllocationHandleType`s that were asked for.
    pub handle_types: u32,
    file: Arc<File>,
    offset: u64,
    /// Where other processes have it, or may.
    share: Option<Share>,
    references: u32,
    mappings: u32,
}

/// What the address space knows of it.
#[derive(Debug)]
pub(super) struct VirtualMemory {
    /// Lengths of reserved ranges by first address.
    reserved: BTreeMap<u64, u64>,
    physical: Handles<Physical>,
    /// Made at the first physical allocation.
    file: Option<Arc<File>>,
    end_of_file: u64,
}

impl Default for VirtualMemory {
    fn default() -> Self {
        Self {
            reserved: BTreeMap::new(),
            physical: Handles::new(HandleKind::PhysicalMemory),
            file: None,
            end_of_file: 0,
        }
    }
}

impl VirtualMemory {
    /// The first reservation that ends behind `address`.
    pub fn reserved_at(&self, address: u64) -> Option<(u64, u64)> {
        let around = self.reserved.range(..=address).next_back().filter(|&(&base, &len)| base + len > address);
        around.or_else(|| self.reserved.range(address..).next()).map(|(&base, &len)| (base, len))
    }

    /// Whether a handle named a physical allocation that is gone.
    pub fn was_destroyed(&self, handle: u64) -> bool {
        self.physical.was_destroyed(handle)
    }

    /// A new part of the file, behind its header: the file, and where the part begins.
    fn extend(&mut self, len: u64) -> Cuda<(Arc<File>, u64)> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(memory_file(0)?.into()),
        };
        let start = self.end_of_file + HEADER;
        let end = start.checked_add(len).ok_or(CUresult::OUT_OF_MEMORY)?;
        file.set_len(end).map_err(|_| CUresult::OUT_OF_MEMORY)?;
        self.end_of_file = end;
        Ok((file.clone(), start))
    }
}

impl AddressSpace {
    /// `cuMemAddressReserve`.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_VALUE`: the size is 0 or no multiple of the granularity, the alignment is no
    /// power of two. `CUDA_ERROR_OUT_OF_MEMORY`: no such range is free.
    pub fn reserve_addresses(&mut self, len: u64, alignment: u64) -> Cuda<u64> {
        if len == 0 || !len.is_multiple_of(GRANULARITY) || (alignment != 0 && !alignment.is_power_of_two()) {
            return Err(CUresult::INVALID_VALUE);
        }
        let base = self.find_gap(len, alignment.max(GRANULARITY)).ok_or(CUresult::OUT_OF_MEMORY)?;
        self.cursor = after(base, len);
        self.virtual_memory.reserved.insert(base, len);
        Ok(base)
    }

    /// `cuMemAddressFree`.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_VALUE`: it is not one whole reservation, or something is mapped there.
    pub fn free_addresses(&mut self, base: u64, len: u64) -> Cuda {
        let whole = self.virtual_memory.reserved.get(&base) == Some(&len);
        if !whole || self.device.range(base..base + len).next().is_some() {
            return Err(CUresult::INVALID_VALUE);
        }
        self.virtual_memory.reserved.remove(&base);
        Ok(())
    }

    /// `cuMemCreate`.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_VALUE`: the size is 0 or no multiple of the granularity.
    pub fn create_physical(&mut self, len: u64, device: i32, handle_types: u32) -> Cuda<u64> {
        if len == 0 || !len.is_multiple_of(GRANULARITY) {
            return Err(CUresult::INVALID_VALUE);
        }
        if len > self.free_bytes(device) {
            return Err(CUresult::OUT_OF_MEMORY);
        }
        let (file, offset) = self.virtual_memory.extend(len)?;
        self.took(device, len);
        let physical = Physical { len, device, handle_types, file, offset, share: None, references: 1, mappings: 0 };
        Ok(self.virtual_memory.physical.insert(physical))
    }

    /// `cuMemExportToShareableHandle`: a descriptor, which the caller closes.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_VALUE`: it was made without that type of handle.
    pub fn export_physical(&mut self, handle: u64, handle_type: u32) -> Cuda<RawFd> {
        if self.physical(handle)?.handle_types & handle_type == 0 {
            return Err(CUresult::INVALID_VALUE);
        }
        let found = self.virtual_memory.physical.get_mut(handle).ok_or(CUresult::INVALID_VALUE)?;
        let share = match found.share.take() {
            Some(share) => share,
            None => Share::begin(&found.file, Kind::Physical, found.offset - HEADER, found.len, found.device)?,
        };
        found.share.insert(share).descriptor()
    }

    /// `cuMemImportFromShareableHandle`.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_VALUE`: no descriptor that an export gave.
    pub fn import_physical(&mut self, descriptor: RawFd, handle_types: u32) -> Cuda<u64> {
        let (share, len, device) = Share::open(descriptor, Kind::Physical)?;
        // A process may have fewer devices than the one that exported.
        let device = if device < self.devices() { device } else { 0 };
        if len > self.free_bytes(device) {
            return Err(CUresult::OUT_OF_MEMORY);
        }
        let file = Arc::new(share.file().try_clone().map_err(|_| CUresult::OUT_OF_MEMORY)?);
        let offset = share.start();
        self.took(device, len);
        let share = Some(share);
        let physical = Physical { len, device, handle_types, file, offset, share, references: 1, mappings: 0 };
        Ok(self.virtual_memory.physical.insert(physical))
    }

    /// A physical allocation whose handle is not released.
    pub fn physical(&self, handle: u64) -> Cuda<&Physical> {
        let found = self.virtual_memory.physical.get(handle).filter(|found| found.references > 0);
        found.ok_or(CUresult::INVALID_VALUE)
    }

    /// `cuMemRelease`.
    pub fn release_physical(&mut self, handle: u64) -> Cuda {
        self.physical(handle)?;
        if let Some(found) = self.virtual_memory.physical.get_mut(handle) {
            found.references -= 1;
        }
        self.sweep_physical(handle);
        Ok(())
    }

    /// `cuMemRetainAllocationHandle`: the handle of what is mapped at `address`.
    pub fn retain_physical(&mut self, address: u64) -> Cuda<u64> {
        let Origin::Mapping(handle) = self.mapping(address)?.origin else { return Err(CUresult::INVALID_VALUE) };
        let found = self.virtual_memory.physical.get_mut(handle).ok_or(CUresult::INVALID_VALUE)?;
        found.references += 1;
        Ok(handle)
    }

    /// `cuMemMap`: the bytes of an allocation from its beginning. Nothing may access them yet.
    ///
    /// # Errors
    /// `CUDA_ERROR_NOT_SUPPORTED`: a part of the allocation, or more than it has (M, H200, driver
    /// 580.159.04). `CUDA_ERROR_INVALID_VALUE`: not within one reservation, not at a multiple of the
    /// granularity, or something is mapped there.
    pub fn map_physical(&mut self, base: u64, len: u64, handle: u64) -> Cuda {
        let end = base.checked_add(len).ok_or(CUresult::INVALID_VALUE)?;
        let (file, offset, device) = {
            let found = self.physical(handle)?;
            if len != found.len {
                return Err(CUresult::NOT_SUPPORTED);
            }
            let fits = base.is_multiple_of(GRANULARITY);
            let reserved = self.virtual_memory.reserved_at(base);
            let inside = reserved.is_some_and(|(first, size)| first <= base && end <= first + size);
            let before = self.device.range(..end).next_back();
            if !fits || !inside || before.is_some_and(|(_, other)| other.base + other.len > base) {
                return Err(CUresult::INVALID_VALUE);
            }
            (found.file.clone(), found.offset, found.device)
        };
        self.window.put(base, len, Some((file.as_raw_fd(), offset)))?;
        let number = self.next_number();
        let origin = Origin::Mapping(handle);
        self.device.insert(base, Allocation { base, len, origin, state: State::Reserved, number, device, access: 0 });
        if let Some(found) = self.virtual_memory.physical.get_mut(handle) {
            found.mappings += 1;
        }
        Ok(())
    }

    /// `cuMemUnmap`. The device must be idle. Where nothing is mapped there is nothing to do (M, H200, driver
    /// 580.159.04).
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_VALUE`: the range is not within one reservation, or holds a part of a mapping.
    pub fn unmap(&mut self, base: u64, len: u64) -> Cuda {
        let end = base.checked_add(len).filter(|_| len > 0).ok_or(CUresult::INVALID_VALUE)?;
        let reserved = self.virtual_memory.reserved_at(base);
        let inside = reserved.is_some_and(|(first, size)| first <= base && end <= first + size);
        let cut = [base, end].iter().any(|&edge| self.mapping(edge).is_ok_and(|found| found.base < edge));
        if !inside || cut {
            return Err(CUresult::INVALID_VALUE);
        }
        let mappings: Vec<Allocation> = self.device.range(base..end).map(|(_, found)| *found).collect();
        for found in mappings {
            self.window.put(found.base, found.len, None)?;
            self.device.remove(&found.base);
            self.remember(found);
            if let Origin::Mapping(handle) = found.origin {
                if let Some(physical) = self.virtual_memory.physical.get_mut(handle) {
                    physical.mappings -= 1;
                }
                self.sweep_physical(handle);
            }
        }
        self.ranges.clear();
        Ok(())
    }

    /// `cuMemSetAccess` for a device.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_VALUE`: the range is not exactly one or more whole mappings.
    pub fn set_access(&mut self, base: u64, len: u64, device: i32, access: Access) -> Cuda {
        for found in self.mappings(base, len)? {
            if let Some(found) = self.device.get_mut(&found.base) {
                found.access = with(found.access, device, access != Access::None);
                found.state = if found.access == 0 { State::Reserved } else { State::Live };
            }
        }
        self.ranges.clear();
        Ok(())
    }

    /// `cuMemGetAccess` of a device.
    pub fn access(&self, address: u64, device: i32) -> Cuda<Access> {
        let found = self.mapping(address)?;
        Ok(if found.access & only(device) == 0 { Access::None } else { Access::ReadWrite })
    }

    /// The mapping that an address lies in, accessible or not.
    pub fn mapping(&self, address: u64) -> Cuda<&Allocation> {
        let found = self.device.range(..=address).next_back().map(|(_, found)| found);
        let inside =
            |found: &&Allocation| matches!(found.origin, Origin::Mapping(_)) && address - found.base < found.len;
        found.filter(inside).ok_or(CUresult::INVALID_VALUE)
    }

    /// The mappings that make up exactly that range.
    fn mappings(&self, base: u64, len: u64) -> Cuda<Vec<Allocation>> {
        let end = base.checked_add(len).filter(|_| len > 0).ok_or(CUresult::INVALID_VALUE)?;
        let (mut found, mut next) = (Vec::new(), base);
        while next < end {
            let mapping = self.device.get(&next).filter(|mapping| matches!(mapping.origin, Origin::Mapping(_)));
            let mapping = *mapping.ok_or(CUresult::INVALID_VALUE)?;
            next = mapping.base + mapping.len;
            found.push(mapping);
        }
        if next == end { Ok(found) } else { Err(CUresult::INVALID_VALUE) }
    }

    fn sweep_physical(&mut self, handle: u64) {
        let gone = |found: &&Physical| found.references == 0 && found.mappings == 0;
        if self.virtual_memory.physical.get(handle).filter(gone).is_none() {
            return;
        }
        let Some(found) = self.virtual_memory.physical.remove(handle) else { return };
        self.gave(found.device, found.len);
        // Another process may have it still; then the last one gives the pages back.
        if found.share.is_none_or(Share::end) {
            punch(&found.file, found.offset - HEADER, found.len + HEADER);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(space: &mut AddressSpace, address: u64, len: u64) -> &mut [u8] {
        let start = space.locate(address, len).expect("accessible memory");
        // SAFETY: live memory of this test alone.
        unsafe { std::slice::from_raw_parts_mut(start, len as usize) }
    }

    #[test]
    fn mappings_side_by_side_are_one_range_and_share_their_allocation() {
        let mut space = AddressSpace::new(1 << 30, 1).unwrap();
        let base = space.reserve_addresses(4 * GRANULARITY, 0).unwrap();
        assert!(base.is_multiple_of(GRANULARITY));
        let (one, two) =
            (space.create_physical(GRANULARITY, 0, 0).unwrap(), space.create_physical(GRANULARITY, 0, 0).unwrap());
        for (place, handle) in [one, two, one].into_iter().enumerate() {
            space.map_physical(base + place as u64 * GRANULARITY, GRANULARITY, handle).unwrap();
        }
        assert!(space.locate(base, 1).is_none(), "no access yet");
        space.set_access(base, 3 * GRANULARITY, 0, Access::ReadWrite).unwrap();
        bytes(&mut space, base + GRANULARITY - 4, 8).fill(7);
        assert_eq!(bytes(&mut space, base + 3 * GRANULARITY - 4, 4), [7; 4], "the first allocation again");
        assert!(space.locate(base, 3 * GRANULARITY + 1).is_none());
        assert_eq!(space.map(0).ranges.len(), 1);
        assert_eq!(space.live(), 2 * GRANULARITY);
        // A released handle lasts as long as its mappings.
        space.release_physical(one).unwrap();
        space.unmap(base, GRANULARITY).unwrap();
        assert_eq!(bytes(&mut space, base + 3 * GRANULARITY - 4, 4), [7; 4]);
        assert_eq!(space.free_addresses(base, 4 * GRANULARITY), Err(CUresult::INVALID_VALUE));
        space.unmap(base + GRANULARITY, 2 * GRANULARITY).unwrap();
        assert_eq!(space.live(), GRANULARITY);
        space.free_addresses(base, 4 * GRANULARITY).unwrap();
        assert!(space.physical(one).is_err() && space.physical(two).is_ok());
    }

    #[test]
    fn reservations_and_allocations_keep_clear_of_each_other() {
        let mut space = AddressSpace::new(1 << 30, 1).unwrap();
        let mut taken: Vec<(u64, u64)> = Vec::new();
        for step in 0..200u64 {
            let (base, len) = if step.is_multiple_of(3) {
                let len = (1 + step % 5) * GRANULARITY;
                (space.reserve_addresses(len, 0).unwrap(), len)
            } else {
                let len = 1 + step * 997;
                (space.allocate(len, Origin::Plain(0)).unwrap(), len)
            };
            assert!(taken.iter().all(|&(other, size)| base + len <= other || other + size <= base));
            taken.push((base, len));
        }
    }

    #[test]
    fn pages_given_back_read_as_zeros() {
        let mut space = AddressSpace::new(1 << 30, 1).unwrap();
        let base = space.reserve_addresses(GRANULARITY, 0).unwrap();
        for _ in 0..2 {
            let handle = space.create_physical(GRANULARITY, 0, 0).unwrap();
            space.map_physical(base, GRANULARITY, handle).unwrap();
            space.set_access(base, GRANULARITY, 0, Access::ReadWrite).unwrap();
            assert_eq!(bytes(&mut space, base + 4096, 4), [0; 4]);
            bytes(&mut space, base + 4096, 4).fill(9);
            space.unmap(base, GRANULARITY).unwrap();
            space.release_physical(handle).unwrap();
        }
        assert_eq!(space.live(), 0);
    }
}
