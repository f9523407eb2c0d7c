//! Instructions in which the lanes of a warp see each other.

use super::ctx::{Ctx, LANES};
use super::map::{Exec, Step};
use crate::exec::code::Inst;

/// Runs `f` once for each set of lanes that name the same members, those lanes being active.
#[inline(always)]
fn groups(c: &mut Ctx, members: u32, mut f: impl FnMut(&mut Ctx, u32)) {
    let all = c.warp.active;
    let mut left = all;
    while left != 0 {
        let mask: u32 = c.lane(members, left.trailing_zeros() as usize);
        let mut group = left & mask;
        if group != all {
            let masks: [u32; LANES] = c.lanes(members);
            for (l, &other) in masks.iter().enumerate() {
                if other != mask {
                    group &= !(1 << l);
                }
            }
        }
        c.warp.active = group;
        f(c, group);
        left &= !group;
    }
    c.warp.active = all;
}

fn next(i: &Inst) -> *const Inst {
    std::ptr::from_ref(i).wrapping_add(1)
}

/// `shfl.sync`. Operand list: destination, predicate, source, lane, clamp, members; mode: 0 up,
/// 1 down, 2 bfly, 3 idx; bit 2: no predicate wanted.
pub(crate) struct Shuffle;
impl Step for Shuffle {
    #[inline(always)]
    fn step(c: &mut Ctx, i: &Inst) -> *const Inst {
        let (d, p, a) = (c.extra(i.c, 0), c.extra(i.c, 1), c.extra(i.c, 2));
        let (b, clamp, members) = (c.extra(i.c, 3), c.extra(i.c, 4), c.extra(i.c, 5));
        if let Err(stop) = c.rendezvous(i, members, false) {
            return stop;
        }
        let (source, by, bound): ([u32; LANES], [u32; LANES], [u32; LANES]) = (c.lanes(a), c.lanes(b), c.lanes(clamp));
        let (mut result, mut inside) = (source, 0u32);
        for l in 0..LANES as u32 {
            let k = l as usize;
            let (n, segment) = (by[k] & 31, bound[k] >> 8 & 31);
            let max = (l & segment) | (bound[k] & 31 & !segment);
            let min = l & segment;
            let (from, ok) = match i.imm & 3 {
                0 => (l.wrapping_sub(n), (l as i32 - n as i32) >= max as i32),
                1 => (l + n, l + n <= max),
                2 => (l ^ n, l ^ n <= max),
                _ => {
                    let from = min | (n & !segment);
                    (from, from <= max)
                }
            };
            let from = if ok { from } else { l };
            result[k] = source[from as usize & 31];
            inside |= u32::from(ok) << l;
        }
        c.set_lanes(d, result);
        if i.imm & 4 == 0 {
            c.set_predicate(p, inside);
        }
        next(i)
    }
}

/// `vote.sync`. Operand list: destination, predicate, members; mode: 0 all, 1 any, 2 uni, 3 ballot;
/// bit 2: the predicate is negated.
pub(crate) struct Vote;
impl Step for Vote {
    fn step(c: &mut Ctx, i: &Inst) -> *const Inst {
        let [d, p, members] = [0, 1, 2].map(|n| c.extra(i.c, n));
        if let Err(stop) = c.rendezvous(i, members, false) {
            return stop;
        }
        let said = c.predicate(p) ^ (i.imm as u32 >> 2 & 1).wrapping_neg();
        let mode = i.imm & 3;
        groups(c, members, |c, group| {
            let yes = said & group;
            let all = |t: bool| if t { u32::MAX } else { 0 };
            match mode {
                0 => c.set_predicate(d, all(yes == group)),
                1 => c.set_predicate(d, all(yes != 0)),
                2 => c.set_predicate(d, all(yes == 0 || yes == group)),
                _ => c.set_lanes(d, [yes; LANES]),
            }
        });
        next(i)
    }
}

/// `match.sync`. Operand list: destination, predicate, value, members; mode bit 0: all, bit 1: 64-bit.
pub(crate) struct Match;
impl Step for Match {
    fn step(c: &mut Ctx, i: &Inst) -> *const Inst {
        let [d, p, a, members] = [0, 1, 2, 3].map(|n| c.extra(i.c, n));
        if let Err(stop) = c.rendezvous(i, members, false) {
            return stop;
        }
        let values: [u64; LANES] = if i.imm & 2 != 0 { c.lanes(a) } else { c.lanes::<u32>(a).map(u64::from) };
        let all = i.imm & 1 != 0;
        groups(c, members, |c, group| {
            let mut r = [0u32; LANES];
            for l in (0..LANES).filter(|l| group >> l & 1 != 0) {
                for k in (0..LANES).filter(|k| group >> k & 1 != 0) {
                    r[l] |= u32::from(values[l] == values[k]) << k;
                }
            }
            if all {
                let same = r[group.trailing_zeros() as usize & 31] == group;
                c.set_lanes(d, [if same { group } else { 0 }; LANES]);
                if p != u32::MAX {
                    c.set_predicate(p, if same { u32::MAX } else { 0 });
                }
            } else {
                c.set_lanes(d, r);
            }
        });
        next(i)
    }
}

/// `redux.sync`. Operand list: destination, source, members; mode: 0 add, 1 min.u32, 2 max.u32,
/// 3 min.s32, 4 max.s32, 5 and, 6 or, 7 xor.
pub(crate) struct Redux;
impl Step for Redux {
    fn step(c: &mut Ctx, i: &Inst) -> *const Inst {
        let [d, a, members] = [0, 1, 2].map(|n| c.extra(i.c, n));
        if let Err(stop) = c.rendezvous(i, members, false) {
            return stop;
        }
        let values: [u32; LANES] = c.lanes(a);
        let mode = i.imm;
        groups(c, members, |c, group| {
            let lanes = (0..LANES).filter(|l| group >> l & 1 != 0).map(|l| values[l]);
            let total = lanes
                .reduce(|x, y| match mode {
                    0 => x.wrapping_add(y),
                    1 => x.min(y),
                    2 => x.max(y),
                    3 => (x as i32).min(y as i32) as u32,
                    4 => (x as i32).max(y as i32) as u32,
                    5 => x & y,
                    6 => x | y,
                    _ => x ^ y,
                })
                .unwrap_or(0);
            c.set_lanes(d, [total; LANES]);
        });
        next(i)
    }
}

/// `bar.warp.sync`. `a`: members.
pub(crate) struct WarpBarrier;
impl Step for WarpBarrier {
    #[inline(always)]
    fn step(c: &mut Ctx, i: &Inst) -> *const Inst {
        match c.rendezvous(i, i.a, true) {
            Ok(()) => next(i),
            Err(stop) => stop,
        }
    }
}

/// `elect.sync`. Operand list: destination, predicate, members; mode bit 0: no destination.
pub(crate) struct Elect;
impl Step for Elect {
    fn step(c: &mut Ctx, i: &Inst) -> *const Inst {
        let [d, p, members] = [0, 1, 2].map(|n| c.extra(i.c, n));
        if let Err(stop) = c.rendezvous(i, members, false) {
            return stop;
        }
        let wanted = i.imm & 1 == 0;
        groups(c, members, |c, group| {
            let leader = group.trailing_zeros();
            if wanted {
                c.set_lanes(d, [leader; LANES]);
            }
            c.set_predicate(p, 1 << (leader & 31));
        });
        next(i)
    }
}

/// `activemask`.
pub(crate) struct ActiveMask;
impl Exec for ActiveMask {
    fn exec(c: &mut Ctx, i: &Inst) {
        c.set_lanes(i.d, [c.warp.active; LANES]);
    }
}
