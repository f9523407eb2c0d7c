//! Allocations: device memory by address, and the host memory that kernels may reach.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::array::Array;
use super::virtual_memory::VirtualMemory;
use super::window::{PAGE, Window, map};
use crate::abi::{CUresult, Cuda};
use crate::software::{Handles, Kind};
use graphproof_exec::{MemoryMap, MemoryRange};

/// Fresh allocations up to this size are filled with [`POISON`].
const POISON_LIMIT: u64 = 1 << 20;
/// NaN as `f32`, and as a pair of `bf16`: what has not been written shows.
const POISON: u32 = 0xffba_ffba;
/// How many freed allocations are remembered to explain a bad address.
const REMEMBERED: usize = 1024;

/// Who made an allocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// `cuMemAlloc` and its kin, in the context with this handle.
    Plain(u64),
    /// A memory pool, by handle.
    Pool(u64),
    /// A node of a graph.
    Graph,
    /// A module's global variables.
    Module,
    /// A CUDA array, in the context with this handle.
    Array(u64),
    /// A mapping of the physical allocation with this handle (`cuMemMap`).
    Mapping(u64),
}

impl Origin {
    /// Whether `cuMemFree` and `cuMemFreeAsync` free it.
    pub fn can_be_freed(self) -> bool {
        !matches!(self, Self::Module | Self::Mapping(_))
    }
}

/// Whether an allocation can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It has an address, and no memory yet.
    Reserved,
    /// In use.
    Live,
    /// A free is on its way through a stream.
    Freeing,
}

/// An allocation of device memory.
#[derive(Debug, Clone, Copy)]
pub struct Allocation {
    /// First address.
    pub base: u64,
    /// Size in bytes, as requested.
    pub len: u64,
    /// Who made it.
    pub origin: Origin,
    /// Whether it can be used.
    pub state: State,
    /// Unique for the life of the process: `CU_POINTER_ATTRIBUTE_BUFFER_ID`.
    pub number: u64,
}

impl Allocation {
    /// Whether its addresses lead to memory.
    fn is_addressable(&self) -> bool {
        self.state != State::Reserved && !matches!(self.origin, Origin::Array(_))
    }
}

/// Host memory that kernels may reach, at the address that the host uses.
#[derive(Debug, Clone, Copy)]
pub struct HostAllocation {
    /// First address.
    pub base: u64,
    /// Size in bytes.
    pub len: u64,
    /// How it came to be known.
    pub kind: HostKind,
    /// Flags of `cuMemHostAlloc`, `cuMemHostRegister` or `cuMemAllocManaged`.
    pub flags: u32,
    /// As for [`Allocation::number`].
    pub number: u64,
}

/// Kinds of host memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostKind {
    /// `cuMemHostAlloc`, `cuMemAllocHost`.
    Pinned,
    /// `cuMemHostRegister`.
    Registered,
    /// `cuMemAllocManaged`.
    Managed,
}

/// What an address belongs to.
#[derive(Debug, Clone, Copy)]
pub enum Place {
    /// Device memory.
    Device(Allocation),
    /// Host memory that the device knows.
    Host(HostAllocation),
}

/// A freed allocation, remembered.
#[derive(Debug, Clone, Copy)]
pub struct Freed {
    /// What it was.
    pub allocation: Allocation,
}

/// The address space of the device.
#[derive(Debug)]
pub struct AddressSpace {
    pub(super) window: Window,
    pub(super) device: BTreeMap<u64, Allocation>,
    pub(super) host: BTreeMap<u64, HostAllocation>,
    pub(super) arrays: Handles<Array>,
    pub(super) freed: VecDeque<Freed>,
    pub(super) virtual_memory: VirtualMemory,
    /// Where the search for the next address begins: freed addresses are used again as late as
    /// possible.
    pub(super) cursor: u64,
    total: u64,
    pub(super) live: u64,
    cached: u64,
    pub(super) high: u64,
    numbers: u64,
    pub(super) ranges: Option<Ranges>,
}

#[derive(Debug)]
pub(super) struct Ranges(Arc<[MemoryRange]>);

// SAFETY: the pointers lead to mappings that outlive every launch (the window's shadow and host
// memory are unmapped only when the device is idle); CUDA's rules govern access to the bytes.
unsafe impl Send for Ranges {}

impl Drop for AddressSpace {
    fn drop(&mut self) {
        let own = self.host.values().filter(|found| found.kind != HostKind::Registered);
        for (base, kind) in own.map(|found| (found.base, found.kind)).collect::<Vec<_>>() {
            let _ = self.free_host(base, kind);
        }
    }
}

impl AddressSpace {
    /// An empty address space with `total` bytes of device memory, or as many as there is room for.
    ///
    /// # Errors
    /// `CUDA_ERROR_OUT_OF_MEMORY`: there is no room for a device.
    pub fn new(total: u64) -> Cuda<Self> {
        let window = Window::reserve(total)?;
        let total = total.min(window.capacity());
        Ok(Self::within(window, total))
    }

    /// An address space without memory.
    pub fn none() -> Self {
        Self::within(Window::none(), 0)
    }

    fn within(window: Window, total: u64) -> Self {
        Self {
            cursor: window.base() + PAGE,
            window,
            device: BTreeMap::new(),
            host: BTreeMap::new(),
            arrays: Handles::new(Kind::Array),
            freed: VecDeque::new(),
            virtual_memory: VirtualMemory::default(),
            total,
            live: 0,
            cached: 0,
            high: 0,
            numbers: 0,
            ranges: None,
        }
    }

    /// Device memory in bytes.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Bytes that `cuMemGetInfo` calls free.
    pub fn free_bytes(&self) -> u64 {
        self.total.saturating_sub(self.live + self.cached)
    }

    /// Bytes in use.
    pub fn live(&self) -> u64 {
        self.live
    }

    /// The most bytes ever in use since the last reset.
    pub fn high_water(&self) -> u64 {
        self.high
    }

    /// Starts the high-water mark again from what is in use.
    pub fn reset_high_water(&mut self) {
        self.high = self.live;
    }

    /// Bytes that pools hold without using them.
    pub fn set_cached(&mut self, bytes: u64) {
        self.cached = bytes;
    }

    /// Whether device addresses lie there.
    pub fn in_window(&self, address: u64) -> bool {
        self.window.contains(address)
    }

    /// Allocates device memory.
    pub fn allocate(&mut self, len: u64, origin: Origin) -> Cuda<u64> {
        if len == 0 {
            return Err(CUresult::INVALID_VALUE);
        }
        if len > self.free_bytes() {
            return Err(CUresult::OUT_OF_MEMORY);
        }
        let base = self.reserve(len, origin)?;
        self.make_live(base)?;
        Ok(base)
    }

    /// Takes an address without memory behind it.
    pub fn reserve(&mut self, len: u64, origin: Origin) -> Cuda<u64> {
        if len == 0 {
            return Err(CUresult::INVALID_VALUE);
        }
        if len > self.total {
            return Err(CUresult::OUT_OF_MEMORY);
        }
        let base = self.find_gap(len, PAGE).ok_or(CUresult::OUT_OF_MEMORY)?;
        self.cursor = after(base, len);
        let number = self.next_number();
        self.device.insert(base, Allocation { base, len, origin, state: State::Reserved, number });
        Ok(base)
    }

    /// Puts memory behind a reserved address.
    pub fn make_live(&mut self, base: u64) -> Cuda {
        let free = self.free_bytes();
        let allocation = self.device.get_mut(&base).ok_or(CUresult::INVALID_VALUE)?;
        if allocation.state != State::Reserved {
            return Err(CUresult::INVALID_VALUE);
        }
        if allocation.len > free {
            return Err(CUresult::OUT_OF_MEMORY);
        }
        allocation.state = State::Live;
        let len = allocation.len;
        self.live += len;
        self.high = self.high.max(self.live);
        self.ranges = None;
        if len <= POISON_LIMIT {
            self.poison(base, len);
        }
        Ok(())
    }

    /// Marks an allocation as being freed by a stream: a second free is an error at once.
    pub fn begin_free(&mut self, base: u64) -> Cuda<Allocation> {
        let allocation = self.device.get_mut(&base).ok_or(CUresult::INVALID_VALUE)?;
        if allocation.state != State::Live {
            return Err(CUresult::INVALID_VALUE);
        }
        allocation.state = State::Freeing;
        Ok(*allocation)
    }

    /// Takes the memory away; the address stays reserved.
    pub fn take_memory(&mut self, base: u64) -> Cuda<Allocation> {
        let allocation = self.device.get_mut(&base).ok_or(CUresult::INVALID_VALUE)?;
        if allocation.state == State::Reserved {
            return Err(CUresult::INVALID_VALUE);
        }
        allocation.state = State::Reserved;
        let allocation = *allocation;
        self.live -= allocation.len;
        self.ranges = None;
        self.window.discard(base, allocation.len);
        self.remember(allocation);
        Ok(allocation)
    }

    /// Frees an allocation: memory and address.
    pub fn free(&mut self, base: u64) -> Cuda<Allocation> {
        let allocation = self.take_memory(base)?;
        self.device.remove(&base);
        Ok(allocation)
    }

    /// Gives an address back, with its memory if it has any.
    pub fn unreserve(&mut self, base: u64) -> Cuda {
        if self.take_memory(base).is_err() && !self.device.contains_key(&base) {
            return Err(CUresult::INVALID_VALUE);
        }
        self.device.remove(&base);
        Ok(())
    }

    /// Allocates host memory that kernels may reach.
    pub fn allocate_host(&mut self, len: u64, kind: HostKind, flags: u32) -> Cuda<u64> {
        if len == 0 || len > isize::MAX as u64 {
            return Err(CUresult::INVALID_VALUE);
        }
        let mapped = map(0, len as usize, libc::PROT_READ | libc::PROT_WRITE, 0).ok_or(CUresult::OUT_OF_MEMORY)?;
        self.add_host(HostAllocation { base: mapped as u64, len, kind, flags, number: 0 });
        Ok(mapped as u64)
    }

    /// Frees what [`AddressSpace::allocate_host`] gave. The device must be idle.
    pub fn free_host(&mut self, base: u64, kind: HostKind) -> Cuda {
        let found = self.host.get(&base).filter(|found| found.kind == kind).ok_or(CUresult::INVALID_VALUE)?;
        // SAFETY: this mapping was made by `allocate_host` with this length.
        unsafe { libc::munmap(base as *mut libc::c_void, found.len as usize) };
        self.host.remove(&base);
        self.ranges = None;
        Ok(())
    }

    /// Makes the caller's memory known to the device.
    pub fn register(&mut self, base: u64, len: u64, flags: u32) -> Cuda {
        let end = base.checked_add(len).ok_or(CUresult::INVALID_VALUE)?;
        if base == 0 || len == 0 || self.window.contains(base) || self.window.contains(end - 1) {
            return Err(CUresult::INVALID_VALUE);
        }
        let overlaps = self.host.range(..end).next_back().is_some_and(|(_, before)| before.base + before.len > base);
        if overlaps {
            return Err(CUresult::HOST_MEMORY_ALREADY_REGISTERED);
        }
        self.add_host(HostAllocation { base, len, kind: HostKind::Registered, flags, number: 0 });
        Ok(())
    }

    /// Takes back [`AddressSpace::register`].
    pub fn unregister(&mut self, base: u64) -> Cuda {
        let registered = self.host.get(&base).is_some_and(|found| found.kind == HostKind::Registered);
        if !registered {
            return Err(CUresult::HOST_MEMORY_NOT_REGISTERED);
        }
        self.host.remove(&base);
        self.ranges = None;
        Ok(())
    }

    /// What an address belongs to: live device memory, or host memory that the device knows.
    pub fn place(&self, address: u64) -> Option<Place> {
        if self.window.contains(address) {
            let (_, allocation) = self.device.range(..=address).next_back()?;
            let inside = address - allocation.base < allocation.len && allocation.is_addressable();
            return inside.then_some(Place::Device(*allocation));
        }
        let (_, found) = self.host.range(..=address).next_back()?;
        (address - found.base < found.len).then_some(Place::Host(*found))
    }

    /// Bytes from an address to the end of its allocation.
    pub fn bytes_from(&self, address: u64) -> Option<u64> {
        let (base, len) = match self.place(address)? {
            Place::Device(found) => (found.base, found.len),
            Place::Host(found) => (found.base, found.len),
        };
        Some(len - (address - base))
    }

    /// The bytes behind `[address, address + len)`, if they lie in one allocation.
    pub fn locate(&self, address: u64, len: u64) -> Option<*mut u8> {
        match self.place(address)? {
            Place::Device(found) => self.reaches(&found, address, len).then(|| self.window.host(address)),
            Place::Host(found) => (len <= found.len - (address - found.base)).then_some(address as *mut u8),
        }
    }

    /// Whether `[address, address + len)` lies in graph memory that no launch has allocated yet.
    pub fn is_reserved_for_graph(&self, address: u64, len: u64) -> bool {
        self.device.range(..=address).next_back().is_some_and(|(_, found)| {
            let inside = address - found.base < found.len && len <= found.len - (address - found.base);
            inside && found.origin == Origin::Graph && found.state == State::Reserved
        })
    }

    /// Frees what was allocated in a context that is gone.
    pub fn free_context(&mut self, context: u64) {
        self.free_arrays(context);
        let own = self.device.values().filter(|found| found.origin == Origin::Plain(context));
        for base in own.map(|found| found.base).collect::<Vec<_>>() {
            let _ = self.free(base);
        }
    }

    /// Live device allocations in order of address.
    pub fn allocations(&self) -> impl Iterator<Item = &Allocation> {
        self.device.values().filter(|allocation| allocation.state != State::Reserved)
    }

    /// What a kernel may touch now.
    pub fn map(&mut self) -> MemoryMap {
        if self.ranges.is_none() {
            let device = self.device.values().filter(|found| found.is_addressable());
            let device = device.map(|found| MemoryRange {
                base: found.base,
                len: found.len,
                host: self.window.host(found.base),
            });
            let host = self.host.values().map(|found| MemoryRange {
                base: found.base,
                len: found.len,
                host: found.base as *mut u8,
            });
            let mut ranges: Vec<MemoryRange> = device.chain(host).collect();
            ranges.sort_unstable_by_key(|range| range.base);
            // Mappings side by side are one range, as the addresses of a kernel see them.
            ranges.dedup_by(|next, range| {
                let joined = self.window.contains(next.base) && range.base + range.len == next.base;
                if joined {
                    range.len += next.len;
                }
                joined
            });
            self.ranges = Some(Ranges(ranges.into()));
        }
        let ranges = self.ranges.as_ref().map(|ranges| ranges.0.clone());
        MemoryMap { ranges: ranges.unwrap_or_default() }
    }

    fn add_host(&mut self, mut allocation: HostAllocation) {
        allocation.number = self.next_number();
        self.host.insert(allocation.base, allocation);
        self.ranges = None;
    }

    pub(super) fn next_number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    pub(super) fn remember(&mut self, allocation: Allocation) {
        if self.freed.len() == REMEMBERED {
            self.freed.pop_front();
        }
        self.freed.push_back(Freed { allocation });
    }

    fn poison(&mut self, base: u64, len: u64) {
        // SAFETY: the allocation's own bytes, which nothing has been told of yet; mapped for good.
        poison(unsafe { std::slice::from_raw_parts_mut(self.window.host(base), len as usize) });
    }

    /// The next gap of `len` bytes at or after the cursor, once around the window, at a multiple of
    /// `align`. Each allocation and reservation has pages of its own and at least one page of guard space
    /// on either side.
    pub(super) fn find_gap(&self, len: u64, align: u64) -> Option<u64> {
        let first = (self.window.base() + PAGE).checked_next_multiple_of(align)?;
        let mut candidate = self.cursor.checked_next_multiple_of(align)?;
        let mut wrapped = false;
        loop {
            if candidate.checked_add(len)?.checked_add(2 * PAGE)? > self.window.end() {
                if wrapped {
                    return None;
                }
                wrapped = true;
                candidate = first;
                continue;
            }
            let Some((base, taken)) = self.first_taken(candidate).filter(|&(base, _)| base < after(candidate, len))
            else {
                return Some(candidate);
            };
            candidate = after(base, taken).checked_next_multiple_of(align)?;
        }
    }

    /// The first allocation or reservation that ends behind `address`, with its length.
    fn first_taken(&self, address: u64) -> Option<(u64, u64)> {
        let reserved = self.virtual_memory.reserved_at(address);
        let allocated = self.device.range(address..).next().map(|(&base, found)| (base, found.len));
        match (reserved, allocated) {
            (Some(reserved), Some(allocated)) => Some(reserved.min(allocated)),
            (reserved, allocated) => reserved.or(allocated),
        }
    }

    /// Whether `[address, address + len)` lies in that allocation, or in mappings without a gap from there.
    fn reaches(&self, found: &Allocation, address: u64, len: u64) -> bool {
        let mut end = found.base + found.len;
        let Some(wanted) = address.checked_add(len) else { return false };
        while end < wanted && matches!(found.origin, Origin::Mapping(_)) {
            match self.device.get(&end).filter(|next| next.is_addressable()) {
                Some(next) => end = next.base + next.len,
                None => return false,
            }
        }
        wanted <= end
    }
}

/// Fills bytes with what no result should look like.
pub fn poison(bytes: &mut [u8]) {
    for chunk in bytes.chunks_mut(4) {
        chunk.copy_from_slice(&POISON.to_ne_bytes()[..chunk.len()]);
    }
}

/// The first address for the allocation behind `[base, base + len)`.
pub(super) fn after(base: u64, len: u64) -> u64 {
    (base + len).div_ceil(PAGE) * PAGE + PAGE
}
