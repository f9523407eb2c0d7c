//! Allocations: device memory by address, and the host memory that kernels may reach.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use super::allocation::{
    Allocation, Devices, Freed, HostAllocation, HostKind, Origin, Place, State, Usage, Viewer, only,
};
use super::array::Array;
use super::reference::Reference;
use super::shared::Backing;
use super::texture::Object;
use super::virtual_memory::VirtualMemory;
use super::window::{PAGE, Window};
use crate::{Handles, Kind};
use graphproof_api::{CUresult, Cuda};
use graphproof_exec::{MemoryMap, MemoryRange};

/// Fresh allocations up to this size are filled with [`POISON`].
pub(super) const POISON_LIMIT: u64 = 1 << 20;
/// NaN as `f32`, and as a pair of `bf16`: what has not been written shows.
const POISON: u32 = 0xffba_ffba;
/// How many freed allocations are remembered to explain a bad address.
const REMEMBERED: usize = 1024;

/// The address space of the devices: one for all of them and for the host.
#[derive(Debug)]
pub struct AddressSpace {
    pub(super) window: Window,
    pub(super) device: BTreeMap<u64, Allocation>,
    pub(super) host: BTreeMap<u64, HostAllocation>,
    pub(super) arrays: Handles<Array>,
    pub(super) textures: Handles<Object>,
    pub(super) surfaces: Handles<Object>,
    /// Texture and surface references by the address of their variable.
    pub(super) references: BTreeMap<u64, Reference>,
    pub(super) freed: VecDeque<Freed>,
    pub(super) virtual_memory: VirtualMemory,
    /// Allocations with a file behind them, by first address.
    pub(super) backings: BTreeMap<u64, Backing>,
    /// Where the search for the next address begins: freed addresses are used again as late as
    /// possible.
    pub(super) cursor: u64,
    /// Of each device.
    total: u64,
    usage: Vec<Usage>,
    high: u64,
    numbers: u64,
    viewers: BTreeMap<u64, Viewer>,
    /// What kernels may touch: by device and, where a context has peers, by context.
    pub(super) ranges: BTreeMap<(i32, u64), Ranges>,
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
    /// An empty address space for devices with `total` bytes of memory each, or as many as there is room for.
    ///
    /// # Errors
    /// `CUDA_ERROR_OUT_OF_MEMORY`: there is no room for a device.
    pub fn new(total: u64, devices: i32) -> Cuda<Self> {
        let count = u64::from(devices.unsigned_abs());
        let window = Window::reserve(total.saturating_mul(count))?;
        let total = total.min(window.capacity() / count / PAGE * PAGE);
        Ok(Self::within(window, total, devices))
    }

    /// An address space without memory.
    pub fn none(devices: i32) -> Self {
        Self::within(Window::none(), 0, devices)
    }

    fn within(window: Window, total: u64, devices: i32) -> Self {
        Self {
            cursor: window.base() + PAGE,
            window,
            device: BTreeMap::new(),
            host: BTreeMap::new(),
            arrays: Handles::new(Kind::Array),
            textures: Handles::new(Kind::Texture),
            surfaces: Handles::new(Kind::Surface),
            references: BTreeMap::new(),
            freed: VecDeque::new(),
            virtual_memory: VirtualMemory::default(),
            backings: BTreeMap::new(),
            total,
            usage: vec![Usage::default(); devices as usize],
            high: 0,
            numbers: 0,
            viewers: BTreeMap::new(),
            ranges: BTreeMap::new(),
        }
    }

    /// A context is made on a device, anew if it was reset.
    pub fn add_context(&mut self, context: u64, device: i32) {
        self.viewers.insert(context, Viewer { device, peers: BTreeSet::new() });
        self.ranges.clear();
    }

    /// Whether kernels of a context may touch what belongs to another one from here on.
    ///
    /// # Errors
    /// `CUDA_ERROR_PEER_ACCESS_ALREADY_ENABLED`, `CUDA_ERROR_PEER_ACCESS_NOT_ENABLED`.
    pub fn set_peer(&mut self, context: u64, peer: u64, enabled: bool) -> Cuda {
        let peers = &mut self.viewers.get_mut(&context).ok_or(CUresult::INVALID_CONTEXT)?.peers;
        let changed = if enabled { peers.insert(peer) } else { peers.remove(&peer) };
        self.ranges.clear();
        match (changed, enabled) {
            (true, _) => Ok(()),
            (false, true) => Err(CUresult::PEER_ACCESS_ALREADY_ENABLED),
            (false, false) => Err(CUresult::PEER_ACCESS_NOT_ENABLED),
        }
    }

    /// Whether a handle named an array, an object of one, or a physical allocation that is gone.
    pub fn was_destroyed(&self, handle: u64) -> bool {
        self.arrays.was_destroyed(handle)
            || self.textures.was_destroyed(handle)
            || self.surfaces.was_destroyed(handle)
            || self.virtual_memory.was_destroyed(handle)
    }

    /// How many devices there are.
    pub fn devices(&self) -> i32 {
        self.usage.len() as i32
    }

    /// Memory of each device in bytes.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Bytes that `cuMemGetInfo` calls free on a device.
    pub fn free_bytes(&self, device: i32) -> u64 {
        let Usage { live, cached } = self.usage[device as usize];
        self.total.saturating_sub(live + cached)
    }

    /// Bytes in use, on all devices together.
    pub fn live(&self) -> u64 {
        self.usage.iter().map(|usage| usage.live).sum()
    }

    /// Memory of a device comes into use.
    pub(super) fn took(&mut self, device: i32, bytes: u64) {
        self.usage[device as usize].live += bytes;
        self.high = self.high.max(self.live());
    }

    /// Memory of a device is free again.
    pub(super) fn gave(&mut self, device: i32, bytes: u64) {
        self.usage[device as usize].live -= bytes;
    }

    /// The most bytes ever in use since the last reset.
    pub fn high_water(&self) -> u64 {
        self.high
    }

    /// Starts the high-water mark again from what is in use.
    pub fn reset_high_water(&mut self) {
        self.high = self.live();
    }

    /// Bytes of a device that pools hold without using them.
    pub fn set_cached(&mut self, device: i32, bytes: u64) {
        self.usage[device as usize].cached = bytes;
    }

    /// Whether device addresses lie there.
    pub fn in_window(&self, address: u64) -> bool {
        self.window.contains(address)
    }

    /// Allocates memory of the device of the context that `origin` names.
    pub fn allocate(&mut self, len: u64, origin: Origin) -> Cuda<u64> {
        let context = origin.context().and_then(|context| self.viewers.get(&context));
        let device = context.map_or(0, |context| context.device);
        self.allocate_on(device, len, origin, only(device))
    }

    /// Allocates memory of a device, for the devices that may access it.
    pub fn allocate_on(&mut self, device: i32, len: u64, origin: Origin, access: Devices) -> Cuda<u64> {
        if len == 0 {
            return Err(CUresult::INVALID_VALUE);
        }
        if len > self.free_bytes(device) {
            return Err(CUresult::OUT_OF_MEMORY);
        }
        let base = self.reserve(device, len, origin, access)?;
        self.make_live(base)?;
        Ok(base)
    }

    /// Takes an address without memory behind it.
    pub fn reserve(&mut self, device: i32, len: u64, origin: Origin, access: Devices) -> Cuda<u64> {
        if len == 0 {
            return Err(CUresult::INVALID_VALUE);
        }
        if len > self.total {
            return Err(CUresult::OUT_OF_MEMORY);
        }
        let base = self.find_gap(len, PAGE).ok_or(CUresult::OUT_OF_MEMORY)?;
        self.cursor = after(base, len);
        let number = self.next_number();
        self.device.insert(base, Allocation { base, len, origin, state: State::Reserved, number, device, access });
        Ok(base)
    }

    /// Puts memory behind a reserved address.
    pub fn make_live(&mut self, base: u64) -> Cuda {
        let allocation = self.device.get_mut(&base).ok_or(CUresult::INVALID_VALUE)?;
        if allocation.state != State::Reserved {
            return Err(CUresult::INVALID_VALUE);
        }
        let (device, len) = (allocation.device, allocation.len);
        let Usage { live, cached } = self.usage[device as usize];
        if len > self.total.saturating_sub(live + cached) {
            return Err(CUresult::OUT_OF_MEMORY);
        }
        allocation.state = State::Live;
        self.took(device, len);
        self.ranges.clear();
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
        self.gave(allocation.device, allocation.len);
        self.ranges.clear();
        self.unback(base);
        self.window.discard(base, allocation.len);
        self.remember(allocation);
        Ok(allocation)
    }

    /// Frees an allocation: memory and address.
    pub fn free(&mut self, base: u64) -> Cuda<Allocation> {
        let allocation = self.take_memory(base)?;
        self.device.remove(&base);
        self.references.remove(&base);
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
        self.destroy_objects(context);
        self.free_arrays(context);
        self.close_context(context);
        let own = self.device.values().filter(|found| found.origin == Origin::Plain(context));
        for base in own.map(|found| found.base).collect::<Vec<_>>() {
            let _ = self.free(base);
        }
        self.viewers.remove(&context);
        for viewer in self.viewers.values_mut() {
            viewer.peers.remove(&context);
        }
        self.ranges.clear();
    }

    /// Gives a device access to the memory of a pool, or takes it.
    pub fn set_pool_access(&mut self, pool: u64, device: i32, access: bool) {
        for found in self.device.values_mut().filter(|found| found.origin == Origin::Pool(pool)) {
            found.access = with(found.access, device, access);
        }
        self.ranges.clear();
    }

    /// Live device allocations in order of address.
    pub fn allocations(&self) -> impl Iterator<Item = &Allocation> {
        self.device.values().filter(|allocation| allocation.state != State::Reserved)
    }

    /// What a kernel of a context may touch now.
    pub fn map(&mut self, context: u64) -> MemoryMap {
        let alone = Viewer::default();
        let viewer = self.viewers.get(&context).unwrap_or(&alone);
        let key = (viewer.device, if viewer.peers.is_empty() { 0 } else { context });
        if !self.ranges.contains_key(&key) {
            let device = self.device.values().filter(|found| found.is_addressable() && found.is_visible(viewer));
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
            self.ranges.insert(key, Ranges(ranges.into()));
        }
        let ranges = self.ranges.get(&key).map(|ranges| ranges.0.clone());
        MemoryMap { ranges: ranges.unwrap_or_default() }
    }

    /// As [`map`](Self::map), with the arrays, to whose bytes kernels come by objects: what an observer looks at.
    pub fn map_with_arrays(&mut self, context: u64) -> MemoryMap {
        let map = self.map(context);
        if self.arrays.is_empty() {
            return map;
        }
        let arrays = self.device.values().filter(|found| matches!(found.origin, Origin::Array(_)));
        let arrays =
            arrays.map(|found| MemoryRange { base: found.base, len: found.len, host: self.window.host(found.base) });
        let mut ranges: Vec<MemoryRange> = map.ranges.iter().copied().chain(arrays).collect();
        ranges.sort_unstable_by_key(|range| range.base);
        MemoryMap { ranges: ranges.into() }
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

/// A set of devices with one device in it, or without it.
pub(super) fn with(devices: Devices, device: i32, inside: bool) -> Devices {
    if inside { devices | only(device) } else { devices & !only(device) }
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
