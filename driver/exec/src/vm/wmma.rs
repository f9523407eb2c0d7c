//! `wmma.load` and `wmma.store`.

use super::ctx::{Ctx, LANES, each_active};
use super::fragment::Fragment;
use super::map::Step;
use super::matrix::whole;
use super::memory::{peek, poke};
use crate::code::Inst;

/// Most accesses of a lane: four registers of four bytes that lie apart, or eight of two halves.
const MOST: usize = 16;

/// Where a warp's fragment lies: one place per access and lane.
struct Places {
    at: [[*mut u8; LANES]; MOST],
    count: usize,
    /// Bytes of an access.
    bytes: u32,
    /// Accesses that make a register.
    each: usize,
}

/// Finds the elements of the fragment, `None` where a fault has been recorded.
///
/// Operands: `a`: address, `b`: site, stride in elements at place `stride` of the list.
fn places(c: &mut Ctx, i: &Inst, f: &Fragment, stride: usize, write: bool) -> Option<Places> {
    let offset = (i.imm >> 32) as i32 as i64 as u64;
    let mut base: [u64; LANES] = if f.wide {
        let a: [u64; LANES] = c.lanes(i.a);
        a.map(|a| a.wrapping_add(offset))
    } else {
        let a: [u32; LANES] = c.lanes(i.a);
        a.map(|a| u64::from(a.wrapping_add(offset as u32)))
    };
    let mut strides: [u32; LANES] = c.lanes(c.extra(i.c, stride));
    // Lanes that are not there (of a short warp) have the places of one that is.
    let active = c.warp.active;
    let there = active.trailing_zeros() as usize & (LANES - 1);
    for l in (0..LANES).filter(|l| active >> l & 1 == 0) {
        (base[l], strides[l]) = (base[there], strides[there]);
    }
    let each = if f.contiguous() { 1 } else { f.per_register() };
    let bytes = if f.bits == 64 { 8 } else { 4 / each as u32 };
    let count = f.registers * each;
    let mut at = [[0u64; LANES]; MOST];
    let (mut low, mut high, mut odd) = (u64::MAX, 0, 0);
    for (n, at) in at.iter_mut().enumerate().take(count) {
        for l in 0..LANES {
            let (row, column) = f.element(n / each, l, n % each);
            let (line, along) = if f.row_major { (row, column) } else { (column, row) };
            let elements = (line as u64).wrapping_mul(u64::from(strides[l])).wrapping_add(along as u64);
            at[l] = base[l].wrapping_add(elements.wrapping_mul(u64::from(f.bits)) / 8);
            low = low.min(at[l]);
            high = high.max(at[l]);
            odd |= at[l] & u64::from(bytes - 1);
        }
    }
    let mut places = Places { at: [[std::ptr::null_mut(); LANES]; MOST], count, bytes, each };
    let one = if odd == 0 { c.stretch(f.space, low, high.wrapping_add(u64::from(bytes)), i.b) } else { None };
    for n in 0..count {
        match one {
            Some(first) => places.at[n] = at[n].map(|a| first.wrapping_add((a - low) as usize)),
            None => places.at[n] = c.reach_each(i, f.space, at[n], i.b, bytes, write)?,
        }
    }
    Some(places)
}

/// `wmma.load`. `a`: address, `b`: site, `c`: list: members, destinations, stride; `imm`: a
/// [`Fragment`], offset from bit 32.
pub(crate) struct LoadFragment;
impl Step for LoadFragment {
    fn step(c: &mut Ctx, i: &Inst) -> *const Inst {
        if let Err(stop) = whole(c, i, c.extra(i.c, 0)) {
            return stop;
        }
        let f = Fragment::unpack(i.imm);
        let Some(places) = places(c, i, &f, 1 + f.registers, false) else { return std::ptr::null() };
        for r in 0..f.registers {
            if f.bits == 64 {
                c.set_vector(c.extra(i.c, 1 + r), places.at[r].map(|p| peek::<u64>(p)));
                continue;
            }
            let mut words = [0u32; LANES];
            for e in 0..places.each {
                for (word, &place) in words.iter_mut().zip(&places.at[r * places.each + e]) {
                    *word |= match places.bytes {
                        1 => u32::from(peek::<u8>(place)) << (8 * e),
                        2 => u32::from(peek::<u16>(place)) << (16 * e),
                        _ => peek(place),
                    };
                }
            }
            c.set_vector(c.extra(i.c, 1 + r), words);
        }
        std::ptr::from_ref(i).wrapping_add(1)
    }
}

/// `wmma.store`: operands as [`LoadFragment`], with sources for destinations.
pub(crate) struct StoreFragment;
impl Step for StoreFragment {
    fn step(c: &mut Ctx, i: &Inst) -> *const Inst {
        if let Err(stop) = whole(c, i, c.extra(i.c, 0)) {
            return stop;
        }
        let f = Fragment::unpack(i.imm);
        let Some(places) = places(c, i, &f, 1 + f.registers, true) else { return std::ptr::null() };
        for n in 0..places.count {
            let (register, e) = (c.extra(i.c, 1 + n / places.each), n % places.each);
            each_active(c, |c, l| match places.bytes {
                8 => poke(places.at[n][l], c.lane::<u64>(register, l)),
                4 => poke(places.at[n][l], c.lane::<u32>(register, l)),
                _ => poke(places.at[n][l], (c.lane::<u32>(register, l) >> (16 * e)) as u16),
            });
        }
        std::ptr::from_ref(i).wrapping_add(1)
    }
}
