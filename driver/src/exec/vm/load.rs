//! `ld`.

use std::marker::PhantomData;

use super::ctx::{Ctx, LANES};
use super::lane::Lane;
use super::map::Step;
use super::memory::{Spread, peek};
use crate::exec::code::{Inst, SCALAR};

/// `ld` of one element of type `T`. `d`: destination, `a`: address, `b`: site, `imm`: offset.
pub(crate) struct Load<T, const SPACE: u8, const WIDE: bool>(PhantomData<T>);

/// The element as it lies in memory.
pub(crate) trait Element: Lane + Copy {}
macro_rules! element {
    ($($t:ty)*) => { $(impl Element for $t {})* };
}
element! { u8 i8 u16 i16 u32 i32 u64 }

impl<T: Element, const SPACE: u8, const WIDE: bool> Step for Load<T, SPACE, WIDE> {
    #[inline(always)]
    fn step(c: &mut Ctx, i: &Inst) -> *const Inst {
        let Some(spread) = c.reach::<SPACE, WIDE>(i, i.a, i.imm, i.b, size_of::<T>() as u32, false) else {
            return std::ptr::null();
        };
        match spread {
            Spread::Same(p) => {
                let v = peek::<T>(p).to_slot();
                if i.d & SCALAR != 0 {
                    c.set_scalar(i.d, v);
                } else {
                    c.set_vector(i.d, [v; LANES]);
                }
            }
            Spread::Row(p) => {
                let row: [T; LANES] = peek(p);
                let mut r = [<T::Slot as Default>::default(); LANES];
                for l in 0..LANES {
                    r[l] = row[l].to_slot();
                }
                c.set_lanes(i.d, r);
            }
            Spread::Each(p) => {
                let mut r = [<T::Slot as Default>::default(); LANES];
                for l in 0..LANES {
                    r[l] = peek::<T>(p[l]).to_slot();
                }
                c.set_lanes(i.d, r);
            }
        }
        std::ptr::from_ref(i).wrapping_add(1)
    }
}

/// `ld` of `N` elements. `c`: list of destinations; `d`: unused.
pub(crate) struct LoadVector<T, const N: usize, const SPACE: u8, const WIDE: bool>(PhantomData<T>);

impl<T: Element, const N: usize, const SPACE: u8, const WIDE: bool> Step for LoadVector<T, N, SPACE, WIDE> {
    #[inline(always)]
    fn step(c: &mut Ctx, i: &Inst) -> *const Inst {
        let Some(spread) = c.reach::<SPACE, WIDE>(i, i.a, i.imm, i.b, (N * size_of::<T>()) as u32, false) else {
            return std::ptr::null();
        };
        let zero = <T::Slot as Default>::default();
        match spread {
            Spread::Same(p) => {
                let v: [T; N] = peek(p);
                for (n, v) in v.into_iter().enumerate() {
                    let d = c.extra(i.c, n);
                    if d & SCALAR != 0 {
                        c.set_scalar(d, v.to_slot());
                    } else {
                        c.set_vector(d, [v.to_slot(); LANES]);
                    }
                }
            }
            Spread::Row(p) => {
                let mut r = [[zero; LANES]; N];
                for l in 0..LANES {
                    let v: [T; N] = peek(p.wrapping_add(l * N * size_of::<T>()));
                    for n in 0..N {
                        r[n][l] = v[n].to_slot();
                    }
                }
                for (n, r) in r.into_iter().enumerate() {
                    c.set_lanes(c.extra(i.c, n), r);
                }
            }
            Spread::Each(p) => {
                let mut r = [[zero; LANES]; N];
                for l in 0..LANES {
                    let v: [T; N] = peek(p[l]);
                    for n in 0..N {
                        r[n][l] = v[n].to_slot();
                    }
                }
                for (n, r) in r.into_iter().enumerate() {
                    c.set_lanes(c.extra(i.c, n), r);
                }
            }
        }
        std::ptr::from_ref(i).wrapping_add(1)
    }
}

