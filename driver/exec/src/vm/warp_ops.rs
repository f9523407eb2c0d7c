//! Instructions in which the lanes of a warp see each other.

use super::ctx::{Ctx, FULL, LANES, either};
use super::map::{Exec, Step};
use super::split::Meeting;
use crate::code::Inst;
use crate::slot::SCALAR;

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

/// An instruction in which lanes exchange values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exchange {
    Shuffle,
    Vote,
    Match,
    Redux,
    Elect,
}

impl Exchange {
    /// Carries it out for lanes that stand at several such instructions: (place, lanes).
    pub fn jointly(self, c: &mut Ctx, parts: &[(u32, u32)]) {
        match self {
            Self::Shuffle => jointly::<Shuffle>(c, parts),
            Self::Vote => jointly::<Vote>(c, parts),
            Self::Match => jointly::<Match>(c, parts),
            Self::Redux => jointly::<Redux>(c, parts),
            Self::Elect => jointly::<Elect>(c, parts),
        }
    }
}

/// What lanes bring to an exchange.
trait Offer: Copy + Default {
    /// Takes what `lanes` bring in `from`.
    fn merge(&mut self, from: &Self, lanes: u32);
}
impl Offer for () {
    fn merge(&mut self, _: &Self, _: u32) {}
}
/// One bit a lane.
impl Offer for u32 {
    fn merge(&mut self, from: &Self, lanes: u32) {
        *self |= from & lanes;
    }
}
impl Offer for [u32; LANES] {
    fn merge(&mut self, from: &Self, lanes: u32) {
        (0..LANES).filter(|l| lanes >> l & 1 != 0).for_each(|l| self[l] = from[l]);
    }
}
impl Offer for [u64; LANES] {
    fn merge(&mut self, from: &Self, lanes: u32) {
        (0..LANES).filter(|l| lanes >> l & 1 != 0).for_each(|l| self[l] = from[l]);
    }
}
impl Offer for [[u32; LANES]; 3] {
    fn merge(&mut self, from: &Self, lanes: u32) {
        self.iter_mut().zip(from).for_each(|(to, from)| to.merge(from, lanes));
    }
}

/// The parts of an [`Exchange`], so that lanes can carry it out from different places.
trait Collective {
    const EXCHANGE: Exchange;
    type Offer: Offer;
    type Gain;
    /// The bits of the mode that are PTX's qualifiers: lanes that meet agree in them.
    fn qualifiers(mode: u64) -> u8;
    /// What all lanes bring to `i`.
    fn offer(c: &Ctx, i: &Inst) -> Self::Offer;
    /// What the lanes of `group` get.
    fn exchange(offer: &Self::Offer, group: u32, mode: u64) -> Self::Gain;
    /// Writes what the active lanes get at `i`.
    fn take(c: &mut Ctx, i: &Inst, gain: &Self::Gain);
    fn meeting(i: &Inst) -> Meeting {
        Meeting::Exchange(Self::EXCHANGE, Self::qualifiers(i.imm))
    }
}

fn jointly<C: Collective>(c: &mut Ctx, parts: &[(u32, u32)]) {
    let (mut all, mut group, mut mode) = (C::Offer::default(), 0, 0);
    for &(pc, lanes) in parts {
        // SAFETY: lanes stand at instructions of the code.
        let inst = unsafe { &*c.at(pc) };
        all.merge(&C::offer(c, inst), lanes);
        (group, mode) = (group | lanes, inst.imm);
    }
    let gain = C::exchange(&all, group, mode);
    for &(pc, lanes) in parts {
        c.warp.active = lanes;
        // SAFETY: as above.
        let inst = unsafe { &*c.at(pc) };
        C::take(c, inst, &gain);
    }
}

/// An exchange of the lanes that have come to `i`, each group with the same members for itself.
fn together<C: Collective>(c: &mut Ctx, i: &Inst, members: u32) -> *const Inst {
    if let Err(stop) = c.rendezvous(i, members, C::meeting(i)) {
        return stop;
    }
    let offer = C::offer(c, i);
    groups(c, members, |c, group| C::take(c, i, &C::exchange(&offer, group, i.imm)));
    next(i)
}

/// `shfl.sync`. Operand list: destination, predicate, source, lane, clamp, members; mode: 0 up,
/// 1 down, 2 bfly, 3 idx; bit 2: no predicate wanted.
pub(crate) struct Shuffle;
impl Step for Shuffle {
    const ONWARD: bool = true;
    #[inline(always)]
    fn step(c: &mut Ctx, i: &Inst) -> *const Inst {
        if let Err(stop) = c.rendezvous(i, c.extra(i.c, 5), Self::meeting(i)) {
            return stop;
        }
        let (by, bound) = (c.extra(i.c, 3), c.extra(i.c, 4));
        let gain = if c.warp.active == FULL && by & bound & SCALAR != 0 {
            alike(&c.lanes(c.extra(i.c, 2)), c.scalar(by), c.scalar(bound), i.imm)
        } else {
            Self::exchange(&Self::offer(c, i), c.warp.active, i.imm)
        };
        Self::take(c, i, &gain);
        next(i)
    }
}

/// For each lane: the lane that `f` says, if that lies in range, else itself; and whether it does, as a bit.
#[inline(always)]
fn lanes(max: impl Fn(u32) -> u32, f: impl Fn(u32, u32) -> (u32, bool)) -> ([u32; LANES], [u32; LANES]) {
    let (mut from, mut inside) = ([0u32; LANES], [0u32; LANES]);
    for l in 0..LANES as u32 {
        let (lane, ok) = f(l, max(l));
        from[l as usize] = if ok { lane } else { l };
        inside[l as usize] = if ok { 1 << l } else { 0 };
    }
    (from, inside)
}

/// What `shfl` gives the lanes of a full warp that name one distance or lane, and one bound.
#[inline(always)]
fn alike(source: &[u32; LANES], by: u32, bound: u32, mode: u64) -> ([u32; LANES], u32) {
    let (n, segment, clamp) = (by & 31, bound >> 8 & 31, bound & 31);
    let max = |l: u32| l & segment | clamp & !segment;
    let (from, inside) = match mode & 3 {
        0 => lanes(max, |l, max| (l.wrapping_sub(n), l as i32 - n as i32 >= max as i32)),
        1 => lanes(max, |l, max| (l + n, l + n <= max)),
        2 => lanes(max, |l, max| (l ^ n, l ^ n <= max)),
        _ => {
            let lane = |l: u32| l & segment | n & !segment;
            lanes(max, |l, max| (lane(l), lane(l) <= max))
        }
    };
    let mut values = [0; LANES];
    for l in 0..LANES {
        values[l] = source[from[l] as usize & (LANES - 1)];
    }
    (values, either(inside))
}

impl Collective for Shuffle {
    const EXCHANGE: Exchange = Exchange::Shuffle;
    /// Source, lane, clamp.
    type Offer = [[u32; LANES]; 3];
    /// The values, and the lanes whose source lies in range.
    type Gain = ([u32; LANES], u32);
    #[inline(always)]
    fn qualifiers(mode: u64) -> u8 {
        mode as u8 & 3
    }
    #[inline(always)]
    fn offer(c: &Ctx, i: &Inst) -> Self::Offer {
        [c.lanes(c.extra(i.c, 2)), c.lanes(c.extra(i.c, 3)), c.lanes(c.extra(i.c, 4))]
    }
    #[inline(always)]
    fn exchange([source, by, bound]: &Self::Offer, present: u32, mode: u64) -> Self::Gain {
        let mut source = *source;
        if present != FULL {
            // A lane that is not there gives 0 on an H200; PTX leaves it open.
            for l in 0..LANES {
                source[l] = if present >> l & 1 != 0 { source[l] } else { 0 };
            }
        }
        let (mut result, mut inside) = (source, 0u32);
        for l in 0..LANES as u32 {
            let k = l as usize;
            let (n, segment) = (by[k] & 31, bound[k] >> 8 & 31);
            let max = (l & segment) | (bound[k] & 31 & !segment);
            let min = l & segment;
            let (from, ok) = match mode & 3 {
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
        (result, inside)
    }
    #[inline(always)]
    fn take(c: &mut Ctx, i: &Inst, (values, inside): &Self::Gain) {
        c.set_lanes(c.extra(i.c, 0), *values);
        if i.imm & 4 == 0 {
            c.set_predicate(c.extra(i.c, 1), *inside);
        }
    }
}

/// `vote.sync`. Operand list: destination, predicate, members; mode: 0 all, 1 any, 2 uni, 3 ballot;
/// bit 2: the predicate is negated.
pub(crate) struct Vote;
impl Step for Vote {
    const ONWARD: bool = true;
    fn step(c: &mut Ctx, i: &Inst) -> *const Inst {
        together::<Self>(c, i, c.extra(i.c, 2))
    }
}
impl Collective for Vote {
    const EXCHANGE: Exchange = Exchange::Vote;
    type Offer = u32;
    type Gain = u32;
    fn qualifiers(mode: u64) -> u8 {
        mode as u8 & 3
    }
    fn offer(c: &Ctx, i: &Inst) -> u32 {
        c.predicate(c.extra(i.c, 1)) ^ (i.imm as u32 >> 2 & 1).wrapping_neg()
    }
    fn exchange(said: &u32, group: u32, mode: u64) -> u32 {
        let yes = said & group;
        let all = |t: bool| if t { u32::MAX } else { 0 };
        match mode & 3 {
            0 => all(yes == group),
            1 => all(yes != 0),
            2 => all(yes == 0 || yes == group),
            _ => yes,
        }
    }
    fn take(c: &mut Ctx, i: &Inst, &value: &u32) {
        let d = c.extra(i.c, 0);
        if i.imm & 3 == 3 {
            c.set_lanes(d, [value; LANES]);
        } else {
            c.set_predicate(d, value);
        }
    }
}

/// `match.sync`. Operand list: destination, predicate, value, members; mode bit 0: all, bit 1: 64-bit.
pub(crate) struct Match;
impl Step for Match {
    fn step(c: &mut Ctx, i: &Inst) -> *const Inst {
        together::<Self>(c, i, c.extra(i.c, 3))
    }
}
impl Collective for Match {
    const EXCHANGE: Exchange = Exchange::Match;
    type Offer = [u64; LANES];
    /// The masks, and whether all are the same.
    type Gain = ([u32; LANES], bool);
    fn qualifiers(mode: u64) -> u8 {
        mode as u8 & 3
    }
    fn offer(c: &Ctx, i: &Inst) -> [u64; LANES] {
        let a = c.extra(i.c, 2);
        if i.imm & 2 != 0 { c.lanes(a) } else { c.lanes::<u32>(a).map(u64::from) }
    }
    fn exchange(values: &[u64; LANES], group: u32, mode: u64) -> Self::Gain {
        let mut r = [0u32; LANES];
        for l in (0..LANES).filter(|l| group >> l & 1 != 0) {
            for k in (0..LANES).filter(|k| group >> k & 1 != 0) {
                r[l] |= u32::from(values[l] == values[k]) << k;
            }
        }
        let same = r[group.trailing_zeros() as usize & 31] == group;
        if mode & 1 != 0 {
            r = [if same { group } else { 0 }; LANES];
        }
        (r, same)
    }
    fn take(c: &mut Ctx, i: &Inst, (masks, same): &Self::Gain) {
        c.set_lanes(c.extra(i.c, 0), *masks);
        if i.imm & 1 != 0 {
            c.set_predicate(c.extra(i.c, 1), if *same { u32::MAX } else { 0 });
        }
    }
}

/// `redux.sync`. Operand list: destination, source, members; mode: 0 add, 1 min.u32, 2 max.u32,
/// 3 min.s32, 4 max.s32, 5 and, 6 or, 7 xor.
pub(crate) struct Redux;
impl Step for Redux {
    fn step(c: &mut Ctx, i: &Inst) -> *const Inst {
        together::<Self>(c, i, c.extra(i.c, 2))
    }
}
impl Collective for Redux {
    const EXCHANGE: Exchange = Exchange::Redux;
    type Offer = [u32; LANES];
    type Gain = u32;
    fn qualifiers(mode: u64) -> u8 {
        mode as u8
    }
    fn offer(c: &Ctx, i: &Inst) -> [u32; LANES] {
        c.lanes(c.extra(i.c, 1))
    }
    fn exchange(values: &[u32; LANES], group: u32, mode: u64) -> u32 {
        let lanes = (0..LANES).filter(|l| group >> l & 1 != 0).map(|l| values[l]);
        lanes
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
            .unwrap_or(0)
    }
    fn take(c: &mut Ctx, i: &Inst, &total: &u32) {
        c.set_lanes(c.extra(i.c, 0), [total; LANES]);
    }
}

/// `bar.warp.sync`. `a`: members.
pub(crate) struct WarpBarrier;
impl Step for WarpBarrier {
    #[inline(always)]
    fn step(c: &mut Ctx, i: &Inst) -> *const Inst {
        match c.rendezvous(i, i.a, Meeting::Barrier) {
            Ok(()) => next(i),
            Err(stop) => stop,
        }
    }
}

/// `elect.sync`. Operand list: destination, predicate, members; mode bit 0: no destination.
pub(crate) struct Elect;
impl Step for Elect {
    fn step(c: &mut Ctx, i: &Inst) -> *const Inst {
        together::<Self>(c, i, c.extra(i.c, 2))
    }
}
impl Collective for Elect {
    const EXCHANGE: Exchange = Exchange::Elect;
    type Offer = ();
    /// The leader.
    type Gain = u32;
    fn qualifiers(_: u64) -> u8 {
        0
    }
    fn offer(_: &Ctx, _: &Inst) {}
    fn exchange((): &(), group: u32, _: u64) -> u32 {
        group.trailing_zeros() & 31
    }
    fn take(c: &mut Ctx, i: &Inst, &leader: &u32) {
        if i.imm & 1 == 0 {
            c.set_lanes(c.extra(i.c, 0), [leader; LANES]);
        }
        c.set_predicate(c.extra(i.c, 1), 1 << leader);
    }
}

/// `activemask`.
pub(crate) struct ActiveMask;
impl Exec for ActiveMask {
    fn exec(c: &mut Ctx, i: &Inst) {
        c.set_lanes(i.d, [c.warp.active; LANES]);
    }
}
