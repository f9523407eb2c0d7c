//! `ld`.

use std::marker::PhantomData;

use super::ctx::{Ctx, LANES, each_active};
use super::lane::Lane;
use super::map::Step;
use super::memory::{PARAM, Spread, by_lane, peek};
use crate::code::Inst;
use crate::slot::SCALAR;

/// `ld` of one element of type `T`. `d`: destination, `a`: address, `b`: site, `c`: the bytes that are
/// used, a bit each, or 0, `imm`: offset.
pub(crate) struct Load<T, const SPACE: u8, const WIDE: bool>(PhantomData<T>);

/// The element as it lies in memory.
pub(crate) trait Element: Lane + Copy {
    /// Whether kernels spend time on single ones.
    const OFTEN: bool;
    /// Whether kernels spend time on two or four at once.
    const OFTEN_VECTOR: bool;
}
macro_rules! element {
    ($($t:ty: $single:literal $vector:literal;)*) => { $(impl Element for $t {
        const OFTEN: bool = $single;
        const OFTEN_VECTOR: bool = $vector;
    })* };
}
element! { u8: false false; i8: false false; u16: true false; i16: false false; u32: true true; u64: true true; }

/// Whether a form is too rare, in this space, for vector code of its own: the decoder gives it one
/// handler for all instruction sets, and that goes lane by lane.
pub(crate) const fn rare(often: bool, space: u8) -> bool {
    !often || by_lane(space) || space == PARAM
}

impl<T: Element, const SPACE: u8, const WIDE: bool> Step for Load<T, SPACE, WIDE> {
    const ONWARD: bool = true;
    #[inline(always)]
    fn step(c: &mut Ctx, i: &Inst) -> *const Inst {
        let bytes = size_of::<T>() as u32;
        if rare(T::OFTEN, SPACE) {
            let Some(spread) = c.reach_apart::<SPACE, WIDE>(i, i.a, i.imm, i.b, bytes, false) else {
                return partly::<T, 1, WIDE>(c, i, SPACE);
            };
            each_active(c, |c, l| c.set_lane(i.d, l, peek::<T>(spread.at(l, bytes as usize)).to_slot()));
            return std::ptr::from_ref(i).wrapping_add(1);
        }
        let Some(spread) = c.reach::<SPACE, WIDE>(i, i.a, i.imm, i.b, bytes, false) else {
            return partly::<T, 1, WIDE>(c, i, SPACE);
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

/// `ld` of `N` elements. `c`: list of destinations; `d`: the bytes that are used, a bit each, or 0.
pub(crate) struct LoadVector<T, const N: usize, const SPACE: u8, const WIDE: bool>(PhantomData<T>);

impl<T: Element, const N: usize, const SPACE: u8, const WIDE: bool> Step for LoadVector<T, N, SPACE, WIDE> {
    const ONWARD: bool = true;
    #[inline(always)]
    fn step(c: &mut Ctx, i: &Inst) -> *const Inst {
        let bytes = (N * size_of::<T>()) as u32;
        if rare(T::OFTEN_VECTOR, SPACE) {
            let Some(spread) = c.reach_apart::<SPACE, WIDE>(i, i.a, i.imm, i.b, bytes, false) else {
                return partly::<T, N, WIDE>(c, i, SPACE);
            };
            each_active(c, |c, l| {
                let values: [T; N] = peek(spread.at(l, bytes as usize));
                for (n, value) in values.into_iter().enumerate() {
                    c.set_lane(c.extra(i.c, n), l, value.to_slot());
                }
            });
            return std::ptr::from_ref(i).wrapping_add(1);
        }
        let Some(spread) = c.reach::<SPACE, WIDE>(i, i.a, i.imm, i.b, bytes, false) else {
            return partly::<T, N, WIDE>(c, i, SPACE);
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
                let Some((p, at)) = spread.near(bytes) else { return std::ptr::null() };
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

/// A load of which not all is there: of `N` elements, the ones that are used may be.
#[cold]
#[inline(never)]
fn partly<T: Element, const N: usize, const WIDE: bool>(c: &mut Ctx, i: &Inst, space: u8) -> *const Inst {
    let element = size_of::<T>() as u32;
    let used = if N == 1 { i.c } else { i.d };
    // A single element has to be there.
    let Some(parts) = c.read_used::<WIDE>(i, space, [N as u32 * element, element, used]) else {
        return std::ptr::null();
    };
    each_active(c, |c, l| {
        let values: [T; N] = peek(parts[l].as_ptr());
        for (n, value) in values.into_iter().enumerate() {
            let d = if N == 1 { i.d } else { c.extra(i.c, n) };
            c.set_lane(d, l, value.to_slot());
        }
    });
    std::ptr::from_ref(i).wrapping_add(1)
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
        let mut rows = [[0u32; 4]; 4];
        for k in 0..4 {
            rows[k] = peek(p.wrapping_add(at[4 * group + k] as usize));
        }
        let columns = transpose(rows);
        for n in 0..4 {
            for k in 0..4 {
                r[n][4 * group + k] = columns[n][k];
            }
        }
    }
    r
}

#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn transpose(rows: [[u32; 4]; 4]) -> [[u32; 4]; 4] {
    use std::arch::x86_64::{__m128i, _mm_unpackhi_epi32, _mm_unpackhi_epi64, _mm_unpacklo_epi32, _mm_unpacklo_epi64};
    // SAFETY: SSE2 is part of x86-64, and four words are as good as one vector of 16 bytes.
    unsafe {
        let [a, b, c, d] = std::mem::transmute::<[[u32; 4]; 4], [__m128i; 4]>(rows);
        let (ab, cd) = (_mm_unpacklo_epi32(a, b), _mm_unpacklo_epi32(c, d));
        let (ab2, cd2) = (_mm_unpackhi_epi32(a, b), _mm_unpackhi_epi32(c, d));
        std::mem::transmute::<[__m128i; 4], [[u32; 4]; 4]>([
            _mm_unpacklo_epi64(ab, cd),
            _mm_unpackhi_epi64(ab, cd),
            _mm_unpacklo_epi64(ab2, cd2),
            _mm_unpackhi_epi64(ab2, cd2),
        ])
    }
}

#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
fn transpose(rows: [[u32; 4]; 4]) -> [[u32; 4]; 4] {
    std::array::from_fn(|n| std::array::from_fn(|k| rows[k][n]))
}
