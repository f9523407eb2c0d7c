//! `st`.

use std::marker::PhantomData;

use super::ctx::{Ctx, FULL, LANES};
use super::load::Element;
use super::map::Step;
use super::memory::{Spread, poke};
use crate::exec::code::Inst;

/// `st` of one element of type `T`. `a`: address, `d`: value, `b`: site, `imm`: offset.
pub(crate) struct Store<T, const SPACE: u8, const WIDE: bool>(PhantomData<T>);

impl<T: Element, const SPACE: u8, const WIDE: bool> Step for Store<T, SPACE, WIDE> {
    #[inline(always)]
    fn step(c: &mut Ctx, i: &Inst) -> *const Inst {
        let Some(spread) = c.reach::<SPACE, WIDE>(i, i.a, i.imm, i.b, size_of::<T>() as u32, true) else {
            return std::ptr::null();
        };
        let values: [T::Slot; LANES] = c.lanes(i.d);
        match spread {
            // The last active lane writes last.
            Spread::Same(p) => poke(p, T::from_slot(values[(31 - c.warp.active.leading_zeros() as usize) & 31])),
            Spread::Row(p) if c.warp.active == FULL => poke(p, values.map(T::from_slot)),
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
        let Some(spread) = c.reach::<SPACE, WIDE>(i, i.a, i.imm, i.b, (N * size_of::<T>()) as u32, true) else {
            return std::ptr::null();
        };
        let values: [[T::Slot; LANES]; N] = std::array::from_fn(|n| c.lanes(c.extra(i.c, n)));
        let mut left = c.warp.active;
        while left != 0 {
            let l = left.trailing_zeros() as usize & 31;
            left &= left - 1;
            let place = spread.at(l, N * size_of::<T>());
            poke(place, std::array::from_fn::<T, N, _>(|n| T::from_slot(values[n][l])));
        }
        std::ptr::from_ref(i).wrapping_add(1)
    }
}
