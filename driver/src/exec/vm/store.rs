//! `st`.

use std::marker::PhantomData;

use super::ctx::{Ctx, FULL, LANES, each_active};
use super::load::{Element, rare};
use super::map::Step;
use super::memory::{Spread, poke};
use crate::exec::code::Inst;

/// `st` of one element of type `T`. `a`: address, `d`: value, `b`: site, `imm`: offset.
pub(crate) struct Store<T, const SPACE: u8, const WIDE: bool>(PhantomData<T>);

impl<T: Element, const SPACE: u8, const WIDE: bool> Step for Store<T, SPACE, WIDE> {
    #[inline(always)]
    fn step(c: &mut Ctx, i: &Inst) -> *const Inst {
        let bytes = size_of::<T>() as u32;
        if rare(T::OFTEN, SPACE) {
            let Some(spread) = c.reach_apart::<SPACE, WIDE>(i, i.a, i.imm, i.b, bytes, true) else {
                return std::ptr::null();
            };
            each_active(c, |c, l| poke(spread.at(l, bytes as usize), T::from_slot(c.lane(i.d, l))));
            return std::ptr::from_ref(i).wrapping_add(1);
        }
        let Some(spread) = c.reach::<SPACE, WIDE>(i, i.a, i.imm, i.b, bytes, true) else {
            return std::ptr::null();
        };
        let values: [T::Slot; LANES] = c.lanes(i.d);
        match spread {
            // The last active lane writes last.
            Spread::Same(p) => poke(p, T::from_slot(values[(31 - c.warp.active.leading_zeros() as usize) & 31])),
            Spread::Row(p) if c.warp.active == FULL => {
                for l in 0..LANES {
                    poke(p.wrapping_add(l * size_of::<T>()), T::from_slot(values[l]));
                }
            }
            Spread::Row(p) => each(c, &values, |l| p.wrapping_add(l * size_of::<T>()), |v| T::from_slot(v)),
            Spread::Near(p, at) => each(c, &values, |l| p.wrapping_add(at[l] as usize), |v| T::from_slot(v)),
            Spread::Each(p) => each(c, &values, |l| p[l], |v| T::from_slot(v)),
        }
        std::ptr::from_ref(i).wrapping_add(1)
    }
}

#[inline(always)]
fn each<S: Copy, T: Copy>(c: &Ctx, values: &[S; LANES], place: impl Fn(usize) -> *mut u8, value: impl Fn(S) -> T) {
    let mut left = c.warp.active;
    while left != 0 {
        let l = left.trailing_zeros() as usize & 31;
        left &= left - 1;
        poke(place(l), value(values[l]));
    }
}

/// `st` of `N` elements; `c`: list of values.
pub(crate) struct StoreVector<T, const N: usize, const SPACE: u8, const WIDE: bool>(PhantomData<T>);

impl<T: Element, const N: usize, const SPACE: u8, const WIDE: bool> Step for StoreVector<T, N, SPACE, WIDE> {
    #[inline(always)]
    fn step(c: &mut Ctx, i: &Inst) -> *const Inst {
        let bytes = (N * size_of::<T>()) as u32;
        if rare(T::OFTEN_VECTOR, SPACE) {
            let Some(spread) = c.reach_apart::<SPACE, WIDE>(i, i.a, i.imm, i.b, bytes, true) else {
                return std::ptr::null();
            };
            each_active(c, |c, l| {
                let place = spread.at(l, bytes as usize);
                for n in 0..N {
                    poke(place.wrapping_add(n * size_of::<T>()), T::from_slot(c.lane(c.extra(i.c, n), l)));
                }
            });
            return std::ptr::from_ref(i).wrapping_add(1);
        }
        let Some(spread) = c.reach::<SPACE, WIDE>(i, i.a, i.imm, i.b, bytes, true) else {
            return std::ptr::null();
        };
        let mut values = [[<T::Slot as Default>::default(); LANES]; N];
        for n in 0..N {
            values[n] = c.lanes(c.extra(i.c, n));
        }
        let mut left = c.warp.active;
        while left != 0 {
            let l = left.trailing_zeros() as usize & 31;
            left &= left - 1;
            let place = spread.at(l, bytes as usize);
            for n in 0..N {
                poke(place.wrapping_add(n * size_of::<T>()), T::from_slot(values[n][l]));
            }
        }
        std::ptr::from_ref(i).wrapping_add(1)
    }
}
