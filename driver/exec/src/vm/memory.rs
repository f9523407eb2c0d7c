//! Addresses of lanes → host memory, with every bound checked.

use super::ctx::{Ctx, Event, FULL, LANES, Overrun, either};
use crate::code::Inst;
use crate::fault::FaultKind;
use crate::slot::SCALAR;

/// Top byte of a generic address that means shared memory.
pub(crate) const SHARED_WINDOW: u64 = 0xfe << 56;
/// Top byte of a generic address that means local memory.
pub(crate) const LOCAL_WINDOW: u64 = 0xfd << 56;
/// Top byte of a generic address that means kernel parameters.
pub(crate) const PARAM_WINDOW: u64 = 0xfc << 56;
pub(crate) const WINDOW: u64 = 0xff << 56;

/// Above these bits of a shared address is the rank, plus one, of the block of the cluster that is meant
/// (`mapa`); 0 means the own block.
pub(crate) const RANK_SHIFT: u32 = 24;

/// State spaces, as a constant of a handler.
pub(crate) const GLOBAL: u8 = 0;
pub(crate) const SHARED: u8 = 1;
pub(crate) const LOCAL: u8 = 2;
pub(crate) const PARAM: u8 = 3;
pub(crate) const GENERIC: u8 = 4;

/// Where the lanes' accesses lie in host memory.
#[derive(Clone)]
pub(crate) enum Spread {
    /// All at one place.
    Same(*mut u8),
    /// One after the other. All lanes are active: an inactive one has the place of an active one.
    Row(*mut u8),
    /// At these distances from one place. An inactive lane has the distance of an active one.
    Near(*mut u8, [u32; LANES]),
    /// Anywhere. An inactive lane has the place of an active one.
    Each([*mut u8; LANES]),
}

impl Spread {
    /// Where the access of `bytes` bytes of a lane lies.
    #[inline(always)]
    pub fn at(&self, lane: usize, bytes: usize) -> *mut u8 {
        match self {
            Spread::Same(p) => *p,
            Spread::Row(p) => p.wrapping_add(lane * bytes),
            Spread::Near(p, offsets) => p.wrapping_add(offsets[lane & (LANES - 1)] as usize),
            Spread::Each(p) => p[lane & (LANES - 1)],
        }
    }

    /// The places of all lanes, as [`Spread::Near`] where they are not [`Spread::Each`].
    #[inline(always)]
    pub fn near(&self, bytes: u32) -> Option<(*mut u8, [u32; LANES])> {
        match self {
            Spread::Same(p) => Some((*p, [0; LANES])),
            Spread::Row(p) => {
                let mut at = [0; LANES];
                for l in 0..LANES {
                    at[l] = l as u32 * bytes;
                }
                Some((*p, at))
            }
            Spread::Near(p, offsets) => Some((*p, *offsets)),
            Spread::Each(_) => None,
        }
    }
}

/// The space a generic address lies in, and the address in it.
pub(crate) fn classify(address: u64) -> (u8, u64) {
    match address & WINDOW {
        SHARED_WINDOW => (SHARED, address & !WINDOW),
        LOCAL_WINDOW => (LOCAL, address & !WINDOW),
        PARAM_WINDOW => (PARAM, address & !WINDOW),
        _ => (GLOBAL, address),
    }
}

/// Whether each lane has a memory of its own there, or may mean another space than the next one.
pub(crate) const fn by_lane(space: u8) -> bool {
    space == LOCAL || space == GENERIC
}

fn space_name(space: u8) -> &'static str {
    match space {
        SHARED => "shared",
        LOCAL => "local",
        PARAM => "param",
        _ => "global",
    }
}

impl Ctx {
    /// The lanes' addresses, offset included. `WIDE`: the register has 64 bits.
    #[inline(always)]
    pub fn addresses<const WIDE: bool>(&self, operand: u32, offset: u64) -> [u64; LANES] {
        let mut r = [0u64; LANES];
        if WIDE {
            let a: [u64; LANES] = self.lanes(operand);
            for l in 0..LANES {
                r[l] = a[l].wrapping_add(offset);
            }
        } else {
            let a: [u32; LANES] = self.lanes(operand);
            for l in 0..LANES {
                r[l] = u64::from(a[l].wrapping_add(offset as u32));
            }
        }
        if self.warp.active != FULL {
            let active = self.warp.active;
            let stand_in = r[active.trailing_zeros() as usize & 31];
            for l in 0..LANES {
                r[l] = if active >> l & 1 != 0 { r[l] } else { stand_in };
            }
        }
        r
    }

    /// Gives inactive lanes the value of an active one.
    #[inline(always)]
    fn with_stand_ins(&self, mut r: [u32; LANES]) -> [u32; LANES] {
        let active = self.warp.active;
        if active != FULL {
            let stand_in = r[active.trailing_zeros() as usize & 31];
            for l in 0..LANES {
                r[l] = if active >> l & 1 != 0 { r[l] } else { stand_in };
            }
        }
        r
    }

    /// Start and length of the memory that most likely holds the access.
    #[inline(always)]
    pub(super) fn window<const SPACE: u8>(&self, site: u32) -> (u64, u64, *mut u8) {
        match SPACE {
            SHARED => (0, u64::from(self.shared_len), self.shared),
            PARAM => (0, u64::from(self.params_len), self.params.cast_mut()),
            _ => {
                // SAFETY: `hits` has one entry for each memory instruction of the code.
                let hit = unsafe { *self.hits.add(site as usize) };
                (hit.base, hit.len, hit.host)
            }
        }
    }

    /// Finds the host memory of an access of `bytes` bytes a lane, aligned to its size, and notes it. `None`: a fault
    /// has been recorded.
    #[inline(always)]
    pub fn reach<const SPACE: u8, const WIDE: bool>(
        &mut self,
        inst: &Inst,
        address: u32,
        offset: u64,
        site: u32,
        bytes: u32,
        write: bool,
    ) -> Option<Spread> {
        let Some(spread) = self.find::<SPACE, WIDE>(address, offset, site, bytes) else {
            let addresses = self.addresses::<WIDE>(address, offset);
            return self.reach_each(inst, SPACE, addresses, site, bytes, write).map(Spread::Each);
        };
        if SPACE == GLOBAL && !self.footprint.is_null() {
            self.note_spread(inst, site, &spread, bytes, write);
        }
        Some(spread)
    }

    /// Finds the host memory of an access of `bytes` bytes a lane, aligned to its size, where it lies in the memory
    /// that most likely holds it.
    #[inline(always)]
    fn find<const SPACE: u8, const WIDE: bool>(
        &self,
        address: u32,
        offset: u64,
        site: u32,
        bytes: u32,
    ) -> Option<Spread> {
        let size = u64::from(bytes);
        if !by_lane(SPACE) && address & SCALAR != 0 {
            let a = if WIDE {
                self.scalar::<u64>(address).wrapping_add(offset)
            } else {
                u64::from(self.scalar::<u32>(address).wrapping_add(offset as u32))
            };
            let (base, len, host) = self.window::<SPACE>(site);
            let at = a.wrapping_sub(base);
            if at < len && len - at >= size && a & (size - 1) == 0 {
                return Some(Spread::Same(host.wrapping_add(at as usize)));
            }
        } else if SPACE == SHARED && !WIDE {
            let mut at: [u32; LANES] = self.vector(address);
            for x in &mut at {
                *x = x.wrapping_add(offset as u32);
            }
            let at = self.with_stand_ins(at);
            if let Some(last) = self.shared_len.checked_sub(bytes) {
                let mut bad = [0u32; LANES];
                for l in 0..LANES {
                    bad[l] = u32::from(at[l] > last) | at[l] & (bytes - 1);
                }
                if either(bad) == 0 {
                    return Some(shape(self.shared, at, bytes));
                }
            }
        } else if !by_lane(SPACE) {
            let (base, len, host) = self.window::<SPACE>(site);
            let shift = offset.wrapping_sub(base);
            let addresses = self.addresses::<WIDE>(address, shift);
            // Distances from the base, which fit 32 bits for all but the largest buffers.
            if let Some(last) = len.checked_sub(size).map(|last| last.min(u64::from(u32::MAX))) {
                let (mut at, mut bad) = ([0u32; LANES], [0u32; LANES]);
                for l in 0..LANES {
                    at[l] = addresses[l] as u32;
                    bad[l] = u32::from(addresses[l] > last) | (at[l] | base as u32) & (bytes - 1);
                }
                if either(bad) == 0 {
                    return Some(shape(host, at, bytes));
                }
            }
        }
        None
    }

    /// As [`Ctx::reach`], compiled once for all the instructions that are too rare for a copy of it.
    #[inline(never)]
    pub fn reach_apart<const SPACE: u8, const WIDE: bool>(
        &mut self,
        inst: &Inst,
        address: u32,
        offset: u64,
        site: u32,
        bytes: u32,
        write: bool,
    ) -> Option<Spread> {
        self.reach::<SPACE, WIDE>(inst, address, offset, site, bytes, write)
    }

    /// As [`Ctx::reach`], lane by lane: for local and generic addresses, for a range not hit
    /// before, and to find out which lane is at fault.
    #[cold]
    #[inline(never)]
    pub fn reach_each(
        &mut self,
        inst: &Inst,
        space: u8,
        addresses: [u64; LANES],
        site: u32,
        bytes: u32,
        write: bool,
    ) -> Option<[*mut u8; LANES]> {
        let mut places = [std::ptr::null_mut(); LANES];
        let active = self.warp.active;
        for lane in (0..LANES).filter(|l| active >> l & 1 != 0) {
            match self.reach_one(space, addresses[lane], site, bytes, lane, write) {
                Ok(place) => {
                    self.note_access(inst, space, addresses[lane], u64::from(bytes), write);
                    places[lane] = place;
                }
                Err(kind) => {
                    self.fault(inst, lane as u32, kind);
                    return None;
                }
            }
        }
        let stand_in = places[active.trailing_zeros() as usize & 31];
        for place in &mut places {
            if place.is_null() {
                *place = stand_in;
            }
        }
        Some(places)
    }

    pub fn reach_one(
        &mut self,
        space: u8,
        address: u64,
        site: u32,
        bytes: u32,
        lane: usize,
        write: bool,
    ) -> Result<*mut u8, FaultKind> {
        let size = u64::from(bytes);
        let (space, at) = if space == GENERIC { classify(address) } else { (space, address) };
        let illegal = FaultKind::IllegalAddress { space: space_name(space), address, size: bytes, write };
        let Some((place, left)) = self.room(space, at, site, lane) else { return Err(illegal) };
        if left < size {
            return Err(illegal);
        }
        if address & (size - 1) != 0 {
            return Err(FaultKind::MisalignedAddress { space: space_name(space), address, align: bytes, write });
        }
        Ok(place)
    }

    /// The host memory of address `at` of `space`, and how many bytes there are from there on.
    fn room(&mut self, space: u8, at: u64, site: u32, lane: usize) -> Option<(*mut u8, u64)> {
        let (base, len, host) = match space {
            SHARED if at >> RANK_SHIFT == 0 => (0, u64::from(self.shared_len), self.shared),
            SHARED => self.shared_of(at)?,
            PARAM => (0, u64::from(self.params_len), self.params.cast_mut()),
            LOCAL => (0, u64::from(self.local_len), self.local_of(lane)),
            _ => {
                // SAFETY: `hits` has one entry for each memory instruction of the code.
                let hit = unsafe { &mut *self.hits.add(site as usize) };
                // Most often another lane has just been there.
                if at.wrapping_sub(hit.base) >= hit.len {
                    // SAFETY: the launch gives `ranges_len` ranges.
                    let ranges = unsafe { std::slice::from_raw_parts(self.ranges, self.ranges_len) };
                    *hit = *ranges.get(ranges.partition_point(|r| r.base <= at).wrapping_sub(1))?;
                }
                (hit.base, hit.len, hit.host)
            }
        };
        let at = at.wrapping_sub(base);
        (at < len).then(|| (host.wrapping_add(at as usize), len - at))
    }

    /// After [`Ctx::reach`] has refused the read `inst`: what each active lane reads, if all that it
    /// uses is there. `used` has a bit for each byte that is; where it is 0, a read of several
    /// elements of `element` bytes needs the first, and one that ends behind its memory is noted.
    #[cold]
    #[inline(never)]
    pub fn read_used<const WIDE: bool>(
        &mut self,
        inst: &Inst,
        space: u8,
        [bytes, element, used]: [u32; 3],
    ) -> Option<[[u8; 16]; LANES]> {
        if !matches!(self.event, Event::Fault { kind: FaultKind::IllegalAddress { write: false, .. }, .. }) {
            return None;
        }
        let addresses = self.addresses::<WIDE>(inst.a, inst.imm);
        let (mut found, active) = ([[0; 16]; LANES], self.warp.active);
        for lane in (0..LANES).filter(|l| active >> l & 1 != 0) {
            match self.read_part(inst, space, addresses[lane], lane, [bytes, element, used]) {
                Ok(part) => found[lane] = part,
                Err(kind) => {
                    self.fault(inst, lane as u32, kind);
                    return None;
                }
            }
        }
        self.event = Event::None;
        Some(found)
    }

    fn read_part(
        &mut self,
        inst: &Inst,
        space: u8,
        address: u64,
        lane: usize,
        [bytes, element, used]: [u32; 3],
    ) -> Result<[u8; 16], FaultKind> {
        /// What lies behind the end reads as: large in every type.
        const BEHIND: u8 = 0x7b;
        let (space, at) = if space == GENERIC { classify(address) } else { (space, address) };
        if address & (u64::from(bytes) - 1) != 0 {
            let space = space_name(space);
            return Err(FaultKind::MisalignedAddress { space, address, align: bytes, write: false });
        }
        let used = used & (u32::MAX >> (32 - bytes));
        let (low, high) = if used == 0 { (0, element) } else { (used.trailing_zeros(), 32 - used.leading_zeros()) };
        let illegal = FaultKind::IllegalAddress { space: space_name(space), address, size: bytes, write: false };
        let Some((place, left)) = self.room(space, at.wrapping_add(low.into()), inst.b, lane) else {
            return Err(illegal);
        };
        if left < u64::from(high - low) {
            return Err(illegal);
        }
        let there = left.min(u64::from(bytes - low)) as u32;
        let mut part = [BEHIND; 16];
        // SAFETY: `room` found `left` bytes, and at most 16 behind `low` are read.
        unsafe { std::ptr::copy_nonoverlapping(place, part[low as usize..].as_mut_ptr(), there as usize) };
        self.note_access(inst, space, at.wrapping_add(low.into()), u64::from(there), false);
        let beyond = bytes - low - there;
        if used == 0 && beyond > 0 && self.overrun.is_none() {
            let (space, pc, lane) = (space_name(space), self.pc_of(inst), lane as u32);
            self.overrun = Some(Overrun { space, address, size: bytes, beyond, pc, lane });
        }
        Ok(part)
    }

    /// Host memory of the bytes `low..high`, if one range or the block's shared memory holds them all.
    pub fn stretch(&mut self, space: u8, low: u64, high: u64, site: u32) -> Option<*mut u8> {
        let (space, at) = if space == GENERIC { classify(low) } else { (space, low) };
        if space == LOCAL || space == GLOBAL && !self.footprint.is_null() {
            return None;
        }
        let first = self.reach_one(space, at, site, 1, 0, false).ok()?;
        let size = high.checked_sub(low)?;
        let left = match space {
            SHARED => self.room(SHARED, at, site, 0)?.1,
            PARAM => u64::from(self.params_len) - at,
            _ => {
                // SAFETY: `hits` has one entry for each memory instruction of the code; `reach_one` filled this one.
                let hit = unsafe { *self.hits.add(site as usize) };
                hit.len - at.wrapping_sub(hit.base)
            }
        };
        (size <= left).then_some(first)
    }

    /// The shared memory of the block of the cluster that an address names: first address, length, place. None: there
    /// is no such block, or it has ended.
    fn shared_of(&self, at: u64) -> Option<(u64, u64, *mut u8)> {
        let rank = u32::try_from(at >> RANK_SHIFT).ok()?.checked_sub(1).filter(|&rank| rank < self.ranks)?;
        let host = self.cluster_shared.wrapping_add(rank as usize * self.shared_stride as usize);
        let len = if self.ended >> rank & 1 == 0 { self.shared_len } else { 0 };
        Some((u64::from(rank + 1) << RANK_SHIFT, len.into(), host))
    }

    /// Host memory of `bytes` bytes of shared memory from address `at` on, which may name another block of the
    /// cluster, with that block's rank.
    pub fn shared_place(&self, at: u64, bytes: u64) -> Option<(*mut u8, u32)> {
        let own = at >> RANK_SHIFT == 0;
        let (base, len, host) = if own { (0, self.shared_len.into(), self.shared) } else { self.shared_of(at)? };
        let (offset, rank) = (at - base, if own { self.rank } else { (at >> RANK_SHIFT) as u32 - 1 });
        (offset <= len && len - offset >= bytes).then(|| (host.wrapping_add(offset as usize), rank))
    }

    /// Host memory of the global address `at`, and how many bytes there are from there on.
    pub fn global_place(&self, at: u64) -> Option<(*mut u8, u64)> {
        // SAFETY: the launch gives `ranges_len` ranges.
        let ranges = unsafe { std::slice::from_raw_parts(self.ranges, self.ranges_len) };
        let range = ranges.get(ranges.partition_point(|r| r.base <= at).wrapping_sub(1))?;
        let offset = at - range.base;
        (offset < range.len).then(|| (range.host.wrapping_add(offset as usize), range.len - offset))
    }

    /// Local memory of a lane.
    pub fn local_of(&self, lane: usize) -> *mut u8 {
        self.warp.local.wrapping_add(lane * self.local_len as usize)
    }
}

/// Recognises lanes that read one place, or one after the other.
#[inline(always)]
fn shape(host: *mut u8, at: [u32; LANES], bytes: u32) -> Spread {
    let step = at[1].wrapping_sub(at[0]);
    if step == 0 || step == bytes {
        let mut different = at;
        for l in 0..LANES {
            different[l] = at[l] ^ at[0].wrapping_add(step.wrapping_mul(l as u32));
        }
        if either(different) == 0 {
            let first = host.wrapping_add(at[0] as usize);
            return if step == 0 { Spread::Same(first) } else { Spread::Row(first) };
        }
    }
    Spread::Near(host, at)
}

/// Reads a value whose place has been checked.
#[inline(always)]
pub(crate) fn peek<T: Copy>(place: *const u8) -> T {
    // SAFETY: `reach` found `place` inside memory that is mapped for the launch; `T` is a plain
    // integer or an array of them.
    unsafe { place.cast::<T>().read_unaligned() }
}

/// Writes a value to a place that has been checked.
#[inline(always)]
pub(crate) fn poke<T: Copy>(place: *mut u8, value: T) {
    // SAFETY: as `peek`.
    unsafe { place.cast::<T>().write_unaligned(value) }
}
