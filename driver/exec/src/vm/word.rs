//! `ld` and `st` of one element of 32 or 64 bits a lane with AVX-512, whichever lanes are active, where what they
//! name lies in one memory. Everything else goes the way of [`Load`] and [`Store`].

use super::load::Load;
use super::map::{Step, step};
use super::memory::GLOBAL;
use super::store::Store;
use crate::code::HandlerSet;

/// The handlers of `ld` of one word.
pub(crate) fn load32<const SPACE: u8, const WIDE: bool>() -> HandlerSet {
    choose::<Load<u32, SPACE, WIDE>, u32, SPACE, WIDE, false>()
}

/// The handlers of `ld` of one double word.
pub(crate) fn load64<const SPACE: u8, const WIDE: bool>() -> HandlerSet {
    choose::<Load<u64, SPACE, WIDE>, u64, SPACE, WIDE, false>()
}

/// The handlers of `st` of one word.
pub(crate) fn store32<const SPACE: u8, const WIDE: bool>() -> HandlerSet {
    choose::<Store<u32, SPACE, WIDE>, u32, SPACE, WIDE, true>()
}

/// The handlers of `st` of one double word.
pub(crate) fn store64<const SPACE: u8, const WIDE: bool>() -> HandlerSet {
    choose::<Store<u64, SPACE, WIDE>, u64, SPACE, WIDE, true>()
}

/// `S`: what any access does.
#[cfg(target_arch = "x86_64")]
fn choose<S: Step, T: avx512::Whole, const SPACE: u8, const WIDE: bool, const STORE: bool>() -> HandlerSet {
    const { assert!(WIDE || SPACE != GLOBAL, "a global address has 64 bits") };
    let any = step::<S>();
    HandlerSet([any.0[0], any.0[1], avx512::access::<S, T, SPACE, WIDE, STORE>])
}

#[cfg(not(target_arch = "x86_64"))]
fn choose<S: Step, T, const SPACE: u8, const WIDE: bool, const STORE: bool>() -> HandlerSet {
    const { assert!(WIDE || SPACE != GLOBAL, "a global address has 64 bits") };
    step::<S>()
}

#[cfg(target_arch = "x86_64")]
mod avx512 {
    use std::arch::x86_64::*;

    use crate::code::Inst;
    use crate::slot::SCALAR;
    use crate::vm::ctx::{Ctx, LANES};
    use crate::vm::lane::Slot;
    use crate::vm::map::{Step, avx512 as any, onward};
    use crate::vm::memory::{GLOBAL, peek, poke};

    /// An element that fills a lane of its slot.
    pub trait Whole: Slot {}
    impl Whole for u32 {}
    impl Whole for u64 {}

    /// Where the active lanes' elements lie.
    enum Places {
        /// All at one place.
        Same(*mut u8),
        /// One after the other, counted from the place of lane 0, which need not be there.
        Row(*mut u8),
        /// At these distances from one place, each less than 2³¹.
        Near(*mut u8, [__m512i; 2]),
    }

    /// # Safety
    /// `i` points into the code that `c` runs, at an access of one `T`, and the machine has these features.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,bmi1,bmi2,lzcnt,popcnt")]
    pub unsafe fn access<S: Step, T: Whole, const SPACE: u8, const WIDE: bool, const STORE: bool>(
        c: &mut Ctx,
        i: *const Inst,
    ) -> *const Inst {
        // SAFETY: by the caller.
        let inst = unsafe { &*i };
        // SAFETY: the decoder has chosen the form by the width of the address and of the element; `places` has found
        // that the active lanes' elements lie in memory that the launch may use.
        unsafe {
            if (SPACE != GLOBAL || c.footprint.is_null())
                && let Some(places) = places::<T, SPACE, WIDE>(c, inst)
            {
                if STORE {
                    store::<T>(c, inst.d, places);
                    return onward(c, i.wrapping_add(1));
                } else if inst.d & SCALAR == 0 {
                    load::<T>(c, inst.d, places);
                    return onward(c, i.wrapping_add(1));
                } else if let Places::Same(place) = places {
                    c.set_scalar(inst.d, peek::<T>(place));
                    return onward(c, i.wrapping_add(1));
                }
            }
            any::<S>(c, i)
        }
    }

    /// # Safety
    /// The address of `inst` is a scalar or a vector, of doubles if it is `WIDE`.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,bmi1,bmi2,lzcnt,popcnt")]
    #[inline]
    unsafe fn places<T: Whole, const SPACE: u8, const WIDE: bool>(c: &Ctx, inst: &Inst) -> Option<Places> {
        let bytes = size_of::<T>() as u64;
        let (base, len, host) = c.window::<SPACE>(inst.b);
        // Distances are signed where they are used.
        let last = len.checked_sub(bytes)?.min(i32::MAX as u64);
        let active = c.warp.active;
        let first = active.trailing_zeros() as usize & (LANES - 1);
        let lane = |lane: usize| {
            if WIDE {
                c.lane::<u64>(inst.a, lane).wrapping_add(inst.imm)
            } else {
                u64::from(c.lane::<u32>(inst.a, lane).wrapping_add(inst.imm as u32))
            }
        };
        let of_first = lane(first).wrapping_sub(base);
        if (base | of_first) & (bytes - 1) != 0 || of_first > last {
            return None;
        }
        let place = host.wrapping_add(of_first as usize);
        if inst.a & SCALAR != 0 {
            return Some(Places::Same(place));
        }
        // SAFETY: the vector has 32 lanes.
        let (at, outside) = unsafe {
            if WIDE {
                let from = c.vector_place::<u64>(inst.a).cast::<i64>();
                let shift = _mm512_set1_epi64(inst.imm.wrapping_sub(base) as i64);
                let bound = _mm512_set1_epi64(last as i64);
                let (mut halves, mut outside) = ([_mm256_setzero_si256(); 4], 0u32);
                for n in 0..4 {
                    let at = _mm512_add_epi64(_mm512_loadu_epi64(from.add(8 * n)), shift);
                    outside |= u32::from(_mm512_cmpgt_epu64_mask(at, bound)) << (8 * n);
                    halves[n] = _mm512_cvtepi64_epi32(at);
                }
                let [a, b, c, d] = halves;
                let join = |low, high| _mm512_inserti64x4::<1>(_mm512_castsi256_si512(low), high);
                ([join(a, b), join(c, d)], outside)
            } else {
                let from = c.vector_place::<u32>(inst.a).cast::<i32>();
                let shift = _mm512_set1_epi32(inst.imm as i32);
                let bound = _mm512_set1_epi32(last as i32);
                let low = _mm512_add_epi32(_mm512_loadu_epi32(from), shift);
                let high = _mm512_add_epi32(_mm512_loadu_epi32(from.add(16)), shift);
                let outside = u32::from(_mm512_cmpgt_epu32_mask(low, bound))
                    | u32::from(_mm512_cmpgt_epu32_mask(high, bound)) << 16;
                ([low, high], outside)
            }
        };
        let odd = _mm512_set1_epi32(bytes as i32 - 1);
        let [low, high] = at;
        let misaligned =
            u32::from(_mm512_test_epi32_mask(low, odd)) | u32::from(_mm512_test_epi32_mask(high, odd)) << 16;
        if (outside | misaligned) & active != 0 {
            return None;
        }
        // The first one that is active lies where a row, or one place for all, would have it.
        let start = of_first.wrapping_sub(first as u64 * bytes) as i32;
        let count = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
        let steps = _mm512_slli_epi32::<2>(count);
        let steps = if bytes == 8 { _mm512_add_epi32(steps, steps) } else { steps };
        let row = _mm512_add_epi32(_mm512_set1_epi32(start), steps);
        let next = _mm512_add_epi32(row, _mm512_set1_epi32(16 * bytes as i32));
        let differ = |a, b| {
            (u32::from(_mm512_cmpneq_epi32_mask(low, a)) | u32::from(_mm512_cmpneq_epi32_mask(high, b)) << 16) & active
        };
        if differ(row, next) == 0 {
            return Some(Places::Row(place.wrapping_sub(first * size_of::<T>())));
        }
        let same = _mm512_set1_epi32(of_first as i32);
        Some(if differ(same, same) == 0 { Places::Same(place) } else { Places::Near(host, at) })
    }

    /// # Safety
    /// `d` is a vector of `T`, and the active lanes may read `T` at their `places`.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,bmi1,bmi2,lzcnt,popcnt")]
    #[inline]
    unsafe fn load<T: Whole>(c: &mut Ctx, d: u32, places: Places) {
        let active = c.warp.active;
        // SAFETY: by the caller.
        unsafe {
            if size_of::<T>() == 4 {
                let to = c.vector_place::<u32>(d).cast::<i32>();
                for n in 0..2 {
                    let mask = (active >> (16 * n)) as u16;
                    let words = match places {
                        Places::Same(place) => _mm512_set1_epi32(peek(place)),
                        Places::Row(place) => _mm512_maskz_loadu_epi32(mask, place.cast::<i32>().wrapping_add(16 * n)),
                        Places::Near(host, at) => {
                            _mm512_mask_i32gather_epi32::<1>(_mm512_setzero_si512(), mask, at[n], host.cast())
                        }
                    };
                    _mm512_mask_storeu_epi32(to.add(16 * n), mask, words);
                }
            } else {
                let to = c.vector_place::<u64>(d).cast::<i64>();
                for n in 0..4 {
                    let mask = (active >> (8 * n)) as u8;
                    let words = match places {
                        Places::Same(place) => _mm512_set1_epi64(peek(place)),
                        Places::Row(place) => _mm512_maskz_loadu_epi64(mask, place.cast::<i64>().wrapping_add(8 * n)),
                        Places::Near(host, at) => {
                            let zero = _mm512_setzero_si512();
                            _mm512_mask_i32gather_epi64::<1>(zero, mask, eight(at, n), host.cast())
                        }
                    };
                    _mm512_mask_storeu_epi64(to.add(8 * n), mask, words);
                }
            }
        }
    }

    /// # Safety
    /// `d` is a scalar or a vector of `T`, and the active lanes may write `T` at their `places`.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,bmi1,bmi2,lzcnt,popcnt")]
    #[inline]
    unsafe fn store<T: Whole>(c: &mut Ctx, d: u32, places: Places) {
        let active = c.warp.active;
        if let Places::Same(place) = places {
            // The last active lane writes last.
            let last = (31 - active.leading_zeros() as usize) & (LANES - 1);
            return poke(place, c.lane::<T>(d, last));
        }
        // SAFETY: by the caller.
        unsafe {
            if size_of::<T>() == 4 {
                for n in 0..2 {
                    let mask = (active >> (16 * n)) as u16;
                    let words = if d & SCALAR != 0 {
                        _mm512_set1_epi32(c.scalar::<u32>(d) as i32)
                    } else {
                        _mm512_loadu_epi32(c.vector_place::<u32>(d).cast::<i32>().add(16 * n))
                    };
                    match places {
                        Places::Row(place) => {
                            _mm512_mask_storeu_epi32(place.cast::<i32>().wrapping_add(16 * n), mask, words);
                        }
                        // Of lanes with one place, the last one writes last.
                        Places::Near(host, at) => {
                            _mm512_mask_i32scatter_epi32::<1>(host.cast(), mask, at[n], words);
                        }
                        Places::Same(_) => {}
                    }
                }
            } else {
                for n in 0..4 {
                    let mask = (active >> (8 * n)) as u8;
                    let words = if d & SCALAR != 0 {
                        _mm512_set1_epi64(c.scalar::<u64>(d) as i64)
                    } else {
                        _mm512_loadu_epi64(c.vector_place::<u64>(d).cast::<i64>().add(8 * n))
                    };
                    match places {
                        Places::Row(place) => {
                            _mm512_mask_storeu_epi64(place.cast::<i64>().wrapping_add(8 * n), mask, words);
                        }
                        Places::Near(host, at) => {
                            _mm512_mask_i32scatter_epi64::<1>(host.cast(), mask, eight(at, n), words);
                        }
                        Places::Same(_) => {}
                    }
                }
            }
        }
    }

    /// The `n`-th eight of 32 distances.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,bmi1,bmi2,lzcnt,popcnt")]
    #[inline]
    fn eight(at: [__m512i; 2], n: usize) -> __m256i {
        let half = at[(n / 2) & 1];
        if n.is_multiple_of(2) { _mm512_castsi512_si256(half) } else { _mm512_extracti64x4_epi64::<1>(half) }
    }
}
