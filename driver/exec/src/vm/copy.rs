//! `cp.async`.
//!
//! A copy reads its source when it is issued and writes shared memory when it is waited for, so
//! that a missing wait shows: until then shared memory holds what it held before.

use super::ctx::{Ctx, LANES};
use super::map::{Exec, Step};
use super::memory::{GLOBAL, SHARED, peek, poke};
use crate::code::Inst;

/// One copy that has not been waited for.
#[derive(Clone, Copy)]
struct Pending {
    /// The lane's commit group, or `OPEN`.
    group: u32,
    lane: u8,
    len: u8,
    to: *mut u8,
    data: [u8; 16],
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
        for l in lanes() {
            let mut data = [0u8; 16];
            if let (Some(from), true) = (&from, sizes[l] != 0) {
                let place = from.at(l, len as usize);
                if sizes[l] == 16 {
                    data = peek(place);
                } else {
                    for (n, byte) in data[..sizes[l] as usize].iter_mut().enumerate() {
                        *byte = peek(place.wrapping_add(n));
                    }
                }
            }
            let to = to.at(l, len as usize);
            c.warp.copies.pending.push(Pending { group: OPEN, lane: l as u8, len: len as u8, to, data });
        }
        std::ptr::from_ref(i).wrapping_add(1)
    }
}

/// `cp.async.commit_group`.
pub(crate) struct Commit;
impl Exec for Commit {
    fn exec(c: &mut Ctx, _: &Inst) {
        let active = c.warp.active;
        let copies = &mut c.warp.copies;
        for p in &mut copies.pending {
            if p.group == OPEN && active >> p.lane & 1 != 0 {
                p.group = copies.groups[p.lane as usize & 31];
            }
        }
        for (l, group) in copies.groups.iter_mut().enumerate() {
            *group += active >> l & 1;
        }
    }
}

/// `cp.async.wait_group`; `imm`: groups that may stay open; `u64::MAX`: `wait_all`.
pub(crate) struct WaitGroup;
impl Exec for WaitGroup {
    fn exec(c: &mut Ctx, i: &Inst) {
        let active = c.warp.active;
        let AsyncCopies { pending, groups } = &mut c.warp.copies;
        let all = i.imm == u64::MAX;
        pending.retain(|p| {
            if active >> p.lane & 1 == 0 {
                return true;
            }
            let closed = groups[p.lane as usize & 31];
            let done = all || (p.group != OPEN && u64::from(closed - p.group) > i.imm);
            if done {
                let [a, b, c, d, e, f, g, h, ..] = p.data;
                match p.len {
                    4 => poke(p.to, [a, b, c, d]),
                    8 => poke(p.to, [a, b, c, d, e, f, g, h]),
                    _ => poke(p.to, p.data),
                }
            }
            !done
        });
    }
}
