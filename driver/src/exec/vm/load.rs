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
            Spread::Near(p, offsets) => {
                let mut r = [<T::Slot as Default>::default(); LANES];
                for l in 0..LANES {
                    r[l] = peek::<T>(p.wrapping_add(offsets[l] as usize)).to_slot();
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
            Spread::Each(p) => {
                let mut r = [[zero; LANES]; N];
                for l in 0..LANES {
                    let v: [T; N] = peek(p[l]);
                    for n in 0..N {
                        r[n][l] = v[n].to_slot();
                    }
                }
                scatter(c, i, r);
            }
            spread => {
                let Some((p, at)) = spread.near((N * size_of::<T>()) as u32) else { return std::ptr::null() };
                if N == 4 && size_of::<T>() == 4 && size_of::<T::Slot>() == 4 {
                    let words = transposed(p, at);
                    for (n, words) in words.into_iter().enumerate() {
                        c.set_lanes(c.extra(i.c, n), words);
                    }
                } else {
                    let mut r = [[zero; LANES]; N];
                    for l in 0..LANES {
                        let v: [T; N] = peek(p.wrapping_add(at[l] as usize));
                        for n in 0..N {
                            r[n][l] = v[n].to_slot();
                        }
                    }
                    scatter(c, i, r);
                }
            }
        }
        std::ptr::from_ref(i).wrapping_add(1)
    }
}

#[inline(always)]
fn scatter<S: super::lane::Slot, const N: usize>(c: &mut Ctx, i: &Inst, values: [[S; LANES]; N]) {
    for (n, values) in values.into_iter().enumerate() {
        c.set_lanes(c.extra(i.c, n), values);
    }
}

/// Four words at each lane's place, word by word.
#[inline(always)]
fn transposed(p: *const u8, at: [u32; LANES]) -> [[u32; LANES]; 4] {
    let mut r = [[0u32; LANES]; 4];
    for group in 0..LANES / 4 {
        let rows: [[u32; 4]; 4] = std::array::from_fn(|k| peek(p.wrapping_add(at[4 * group + k] as usize)));
        let columns = transpose(rows);
        for n in 0..4 {
            r[n][4 * group..4 * group + 4].copy_from_slice(&columns[n]);
        }
    }
    r
}

#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn transpose(rows: [[u32; 4]; 4]) -> [[u32; 4]; 4] {
    use std::arch::x86_64::{_mm_unpackhi_epi32, _mm_unpackhi_epi64, _mm_unpacklo_epi32, _mm_unpacklo_epi64};
    // SAFETY: SSE2 is part of x86-64, and four words are as good as one vector of 16 bytes.
    unsafe {
        let [a, b, c, d] = rows.map(|row| std::mem::transmute::<[u32; 4], std::arch::x86_64::__m128i>(row));
        let (ab, cd) = (_mm_unpacklo_epi32(a, b), _mm_unpacklo_epi32(c, d));
        let (ab2, cd2) = (_mm_unpackhi_epi32(a, b), _mm_unpackhi_epi32(c, d));
        [
            _mm_unpacklo_epi64(ab, cd),
            _mm_unpackhi_epi64(ab, cd),
            _mm_unpacklo_epi64(ab2, cd2),
            _mm_unpackhi_epi64(ab2, cd2),
        ]
        .map(|v| std::mem::transmute::<std::arch::x86_64::__m128i, [u32; 4]>(v))
    }
}

#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
fn transpose(rows: [[u32; 4]; 4]) -> [[u32; 4]; 4] {
    std::array::from_fn(|n| std::array::from_fn(|k| rows[k][n]))
}
