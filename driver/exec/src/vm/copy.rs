//! `cp.async`.
//!
//! A copy reads its source when it is issued and writes shared memory when it is waited for, so
//! that a missing wait shows: until then shared memory holds what it held before.

use super::ctx::{Ctx, LANES};
use super::map::{Exec, Step};
use super::memory::{GLOBAL, SHARED, Spread, peek, poke};
use crate::code::Inst;

/// Copies of one instruction that have not been waited for.
#[derive(Clone)]
struct Pending {
    /// The lanes whose copies these are.
    lanes: u32,
    /// Their commit group, or `OPEN`.
    group: u32,
    /// Bytes of each.
    len: u32,
    to: Spread,
    data: [[u8; 16]; LANES],
}

const OPEN: u32 = u32::MAX;

/// Copies of a warp's lanes.
#[derive(Default)]
pub(crate) struct AsyncCopies {
    pending: Vec<Pending>,
    /// Groups committed, by lane.
    groups: [u32; LANES],
}

impl AsyncCopies {
    /// Forgets everything.
    pub fn clear(&mut self) {
        self.pending.clear();
        self.groups = [0; LANES];
    }

    /// Closes the open groups of the `active` lanes.
    fn commit(&mut self, active: u32) {
        let mut parts = Vec::new();
        for copies in self.pending.iter_mut().filter(|copies| copies.group == OPEN) {
            let mut left = copies.lanes & active;
            while left != 0 {
                let number = self.groups[left.trailing_zeros() as usize];
                let like = (0..LANES).filter(|&l| self.groups[l] == number).fold(0, |mask, l| mask | 1u32 << l);
                let same = like & left;
                left &= !same;
                if same == copies.lanes {
                    copies.group = number;
                } else {
                    // Lanes that part ways have groups of their own.
                    copies.lanes &= !same;
                    parts.push(Pending { lanes: same, group: number, ..copies.clone() });
                }
            }
        }
        self.pending.extend(parts);
        for (l, group) in self.groups.iter_mut().enumerate() {
            *group += active >> l & 1;
        }
    }

    /// Carries out the copies of the `active` lanes, but those of their last `but` groups; `None`: all of them.
    fn land(&mut self, active: u32, but: Option<u64>) {
        let groups = &self.groups;
        self.pending.retain_mut(|copies| {
            let done = match but {
                None => u32::MAX,
                Some(_) if copies.group == OPEN => 0,
                Some(but) => {
                    let older = |l: usize| u64::from(groups[l].wrapping_sub(copies.group)) > but;
                    (0..LANES).fold(0, |mask, l| mask | u32::from(older(l)) << l)
                }
            };
            let done = done & active & copies.lanes;
            if done != 0 {
                copies.write(done);
                copies.lanes &= !done;
            }
            copies.lanes != 0
        });
    }
}

impl Pending {
    /// Writes what the lanes `done` have read.
    fn write(&self, done: u32) {
        if let (Spread::Row(to), u32::MAX, 16) = (&self.to, done, self.len) {
            poke(*to, self.data);
            return;
        }
        let mut left = done;
        while left != 0 {
            let l = left.trailing_zeros() as usize;
            left &= left - 1;
            let to = self.to.at(l, self.len as usize);
            let [a, b, c, d, e, f, g, h, ..] = self.data[l];
            match self.len {
                4 => poke(to, [a, b, c, d]),
                8 => poke(to, [a, b, c, d, e, f, g, h]),
                _ => poke(to, self.data[l]),
            }
        }
    }
}

/// `cp.async`. `a`: shared address, `d`: its site; `b`: global address, `c`: its site;
/// `imm`: copy size, source size in bits 8..16 (255: the list entry `imm >> 16` holds it),
/// then the index of the operand list: source size, shared offset, global offset.
pub(crate) struct Copy<const WIDE: bool>;

impl<const WIDE: bool> Step for Copy<WIDE> {
    fn step(c: &mut Ctx, i: &Inst) -> *const Inst {
        let len = i.imm as u32 & 255;
        let list = (i.imm >> 16) as u32;
        let size_operand = c.extra(list, 0);
        let to_offset = i64::from(c.extra(list, 1) as i32) as u64;
        let from_offset = i64::from(c.extra(list, 2) as i32) as u64;
        let Some(to) = c.reach::<SHARED, WIDE>(i, i.a, to_offset, i.d, len, true) else {
            return std::ptr::null();
        };
        let active = c.warp.active;
        let lanes = || (0..LANES).filter(move |l| active >> l & 1 != 0);
        let mut sizes = [len; LANES];
        if i.imm >> 8 & 1 != 0 {
            let given: [u32; LANES] = c.lanes(size_operand);
            for l in 0..LANES {
                sizes[l] = given[l].min(len);
            }
        }
        // A source of no bytes is not read at all.
        let reading = lanes().filter(|&l| sizes[l] != 0).fold(0, |m, l| m | 1u32 << l);
        let mut from = None;
        if reading != 0 {
            c.warp.active = reading;
            from = c.reach::<GLOBAL, true>(i, i.b, from_offset, i.c, len, false);
            c.warp.active = active;
            if from.is_none() {
                return std::ptr::null();
            }
        }
        let mut data = [[0u8; 16]; LANES];
        match &from {
            Some(Spread::Row(from)) if sizes == [16; LANES] && reading == u32::MAX => data = peek(*from),
            Some(from) => {
                for l in lanes().filter(|&l| sizes[l] != 0) {
                    let place = from.at(l, len as usize);
                    if sizes[l] == 16 {
                        data[l] = peek(place);
                    } else {
                        for (n, byte) in data[l][..sizes[l] as usize].iter_mut().enumerate() {
                            *byte = peek(place.wrapping_add(n));
                        }
                    }
                }
            }
            None => {}
        }
        c.warp.begun.copies.pending.push(Pending { lanes: active, group: OPEN, len, to, data });
        std::ptr::from_ref(i).wrapping_add(1)
    }
}

/// `cp.async.commit_group`.
pub(crate) struct Commit;
impl Exec for Commit {
    fn exec(c: &mut Ctx, _: &Inst) {
        let active = c.warp.active;
        c.warp.begun.copies.commit(active);
    }
}

/// `cp.async.wait_group`; `imm`: groups that may stay open; `u64::MAX`: `wait_all`.
pub(crate) struct WaitGroup;
impl Exec for WaitGroup {
    fn exec(c: &mut Ctx, i: &Inst) {
        let active = c.warp.active;
        c.warp.begun.copies.land(active, (i.imm != u64::MAX).then_some(i.imm));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copies(memory: &mut [[u8; 16]; LANES], lanes: u32, value: u8) -> Pending {
        Pending { lanes, group: OPEN, len: 16, to: Spread::Row(memory.as_mut_ptr().cast()), data: [[value; 16]; LANES] }
    }

    /// The lanes whose first byte is `value`.
    fn with(memory: &[[u8; 16]; LANES], value: u8) -> u32 {
        (0..LANES).filter(|&l| memory[l][0] == value).fold(0, |mask, l| mask | 1 << l)
    }

    #[test]
    fn lanes_that_part_ways_have_groups_of_their_own() {
        let mut memory = [[0; 16]; LANES];
        let mut own = AsyncCopies::default();
        own.pending.push(copies(&mut memory, u32::MAX, 1));
        own.commit(0xff);
        own.commit(u32::MAX);
        // Lanes 0 to 7 have two groups by now, whose first one the copies are in; the others have one.
        own.land(u32::MAX, Some(2));
        assert_eq!(with(&memory, 1), 0);
        own.land(u32::MAX, Some(1));
        assert_eq!(with(&memory, 1), 0xff);
        own.land(0xf000_0000, Some(0));
        assert_eq!(with(&memory, 1), 0xf000_00ff);
        own.land(u32::MAX, Some(0));
        assert!(own.pending.is_empty() && with(&memory, 1) == u32::MAX);
    }

    #[test]
    fn what_is_not_committed_stays_under_way_until_all_is_waited_for() {
        let mut memory = [[0; 16]; LANES];
        let mut own = AsyncCopies::default();
        own.pending.push(copies(&mut memory, 0x0f0f_0f0f, 3));
        own.land(u32::MAX, Some(0));
        assert_eq!(with(&memory, 3), 0);
        own.land(u32::MAX, None);
        assert_eq!(with(&memory, 3), 0x0f0f_0f0f);
    }
}
