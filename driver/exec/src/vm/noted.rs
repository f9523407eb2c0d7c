//! What a handler touches, for whoever watches the launch.

use super::ctx::{Ctx, LANES};
use super::memory::{GENERIC, GLOBAL, Spread};
use crate::code::Inst;
use crate::footprint::{Access, Footprint};

impl Ctx {
    /// Where accesses are noted, if they are.
    pub fn footprint(&self) -> Option<&Footprint> {
        // SAFETY: `begin` set it from the launch that runs, which outlives its blocks.
        unsafe { self.footprint.as_ref() }
    }

    /// Notes an access of one lane, if somebody wants to know. A generic address outside global memory
    /// is no address of the map.
    #[inline]
    pub fn note_access(&self, inst: &Inst, space: u8, address: u64, bytes: u64, write: bool) {
        let Some(footprint) = self.footprint().filter(|_| matches!(space, GLOBAL | GENERIC)) else { return };
        footprint.touch(address, [(0, bytes)], self.access_of(inst, write));
    }

    /// Notes an access of the active lanes in the memory that was last hit at `site`.
    #[cold]
    #[inline(never)]
    pub(super) fn note_spread(&self, inst: &Inst, site: u32, spread: &Spread, bytes: u32, write: bool) {
        let Some(footprint) = self.footprint() else { return };
        // SAFETY: `hits` has one entry for each memory instruction of the code.
        let hit = unsafe { *self.hits.add(site as usize) };
        let access = self.access_of(inst, write);
        let of = |place: *mut u8, len: u32| ((place as u64).wrapping_sub(hit.host as u64), u64::from(len));
        let active = self.warp.active;
        let lanes = (0..LANES).filter(|l| active >> l & 1 != 0);
        match spread {
            Spread::Same(place) => footprint.touch(hit.base, [of(*place, bytes)], access),
            Spread::Row(place) => footprint.touch(hit.base, [of(*place, LANES as u32 * bytes)], access),
            spread => footprint.touch(hit.base, lanes.map(|l| of(spread.at(l, bytes as usize), bytes)), access),
        }
    }

    fn access_of(&self, inst: &Inst, write: bool) -> Access {
        let pc = self.pc_of(inst) as usize;
        match (self.strong.as_ref().and_then(|strong| strong.get(pc)).copied().unwrap_or(false), write) {
            (true, _) => Access::Atomic,
            (false, true) => Access::Write,
            (false, false) => Access::Read,
        }
    }
}
