//! `st`.

use std::marker::PhantomData;

use super::ctx::{Ctx, LANES, each_active};
use super::load::{Element, rare};
use super::map::Step;
use super::memory::{Spread, poke};
use crate::code::Inst;

/// `st` of one element of type `T`. `a`: address, `d`: value, `b`: site, `imm`: offset.
pub(crate) struct Store<T, const SPACE: u8, const WIDE: bool>(PhantomData<T>);

impl<T: Element, const SPACE: u8, const WIDE: bool> Step for Store<T, SPACE, WIDE> {
    const ONWARD: bool = true;
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
            Spread::Row(p) => {
                for l in 0..LANES {
                    poke(p.wrapping_add(l * size_of::<T>()), T::from_slot(values[l]));
                }
            }
            Spread::Near(p, at) => {
                each_active(c, |_, l| poke(p.wrapping_add(at[l] as usize), T::from_slot(values[l])));
            }
            Spread::Each(p) => each_active(c, |_, l| poke(p[l], T::from_slot(values[l]))),
        }
        std::ptr::from_ref(i).wrapping_add(1)
    }
}

/// `st` of `N` elements; `c`: list of values.
pub(crate) struct StoreVector<T, const N: usize, const SPACE: u8, const WIDE: bool>(PhantomData<T>);

impl<T: Element, const N: usize, const SPACE: u8, const WIDE: bool> Step for StoreVector<T, N, SPACE, WIDE> {
    const ONWARD: bool = true;
    #[inline(always)]
    fn step(c: &mut Ctx, i: &Inst) -> *const Inst {
        let bytes = (N * size_of::<T>()) as u32;
        let spread = if rare(T::OFTEN_VECTOR, SPACE) {
            c.reach_apart::<SPACE, WIDE>(i, i.a, i.imm, i.b, bytes, true)
        } else {
            c.reach::<SPACE, WIDE>(i, i.a, i.imm, i.b, bytes, true)
        };
        let Some(spread) = spread else { return std::ptr::null() };
        let mut values = [[<T::Slot as Default>::default(); LANES]; N];
        for n in 0..N {
            values[n] = c.lanes(c.extra(i.c, n));
        }
        each_active(c, |_, l| {
            let place = spread.at(l, bytes as usize);
            for n in 0..N {
                poke(place.wrapping_add(n * size_of::<T>()), T::from_slot(values[n][l]));
            }
        });
        std::ptr::from_ref(i).wrapping_add(1)
    }
}
