//! `ld` and `st` of four words a lane, sixteen bytes at once, where all lanes are active and what they
//! name lies in one memory. Everything else goes the way of [`LoadVector`] and [`StoreVector`].

use super::load::LoadVector;
use super::map::{Step, step};
use super::memory::GLOBAL;
use super::store::StoreVector;
use crate::code::{Handler, HandlerSet};

/// The handlers of `ld` of four words.
pub(crate) fn load<const SPACE: u8, const WIDE: bool>() -> HandlerSet {
    choose::<LoadVector<u32, 4, SPACE, WIDE>, SPACE, WIDE, false>()
}

/// The handlers of `st` of four words.
pub(crate) fn store<const SPACE: u8, const WIDE: bool>() -> HandlerSet {
    choose::<StoreVector<u32, 4, SPACE, WIDE>, SPACE, WIDE, true>()
}

/// `S`: what any access does.
fn choose<S: Step, const SPACE: u8, const WIDE: bool, const STORE: bool>() -> HandlerSet {
    const { assert!(WIDE || SPACE != GLOBAL, "a global address has 64 bits") };
    let any = step::<S>();
    #[cfg(target_arch = "x86_64")]
    {
        let narrow: Handler = avx2::access::<S, SPACE, WIDE, STORE, false>;
        let wide: Handler = match (STORE, WIDE) {
            // Two lanes fill a vector of AVX2, and where each is stored by itself wider ones would not help.
            (true, _) => narrow,
            (false, true) => avx2::access::<S, SPACE, WIDE, STORE, true>,
            (false, false) => avx512::load::<S, SPACE>,
        };
        HandlerSet([any.0[0], narrow, wide])
    }
    #[cfg(not(target_arch = "x86_64"))]
    any
}

#[cfg(target_arch = "x86_64")]
pub(super) mod avx2 {
    use std::arch::x86_64::*;

    use crate::code::Inst;
    use crate::slot::SCALAR;
    use crate::vm::ctx::{Ctx, FULL, LANES};
    use crate::vm::map::{Step, avx2 as any, onward};
    use crate::vm::memory::{GLOBAL, peek};

    /// Bytes of a lane.
    pub const BYTES: u64 = 16;
    /// Lanes of a vector.
    const WIDTH: usize = 8;

    /// Distances of the lanes' places from the base of their memory, if all lie in it.
    #[repr(C, align(32))]
    struct Places([u32; LANES]);

    /// `LONG`: loads with vectors of AVX-512.
    ///
    /// # Safety
    /// `i` points into the code that `c` runs, at an access of four words, and the machine has these features, and
    /// those of AVX-512 if it is `LONG`.
    #[target_feature(enable = "avx2,fma,bmi1,bmi2,lzcnt,popcnt")]
    pub unsafe fn access<S: Step, const SPACE: u8, const WIDE: bool, const STORE: bool, const LONG: bool>(
        c: &mut Ctx,
        i: *const Inst,
    ) -> *const Inst {
        // SAFETY: by the caller.
        let inst = unsafe { &*i };
        let list = [c.extra(inst.c, 0), c.extra(inst.c, 1), c.extra(inst.c, 2), c.extra(inst.c, 3)];
        if SPACE == GLOBAL && !c.footprint.is_null() {
            // SAFETY: by the caller.
            return unsafe { any::<S>(c, i) };
        }
        let (base, len, host) = c.window::<SPACE>(inst.b);
        if !STORE && inst.a & SCALAR != 0 && list[0] & list[1] & list[2] & list[3] & SCALAR != 0 {
            let at = if WIDE {
                c.scalar::<u64>(inst.a).wrapping_add(inst.imm)
            } else {
                u64::from(c.scalar::<u32>(inst.a).wrapping_add(inst.imm as u32))
            };
            if load_same(c, &list, at, (base, len, host)) {
                // SAFETY: by the caller.
                return unsafe { onward(c, i.wrapping_add(1)) };
            }
        } else if inst.a & SCALAR == 0 && c.warp.active == FULL && (list[0] | list[1] | list[2] | list[3]) & SCALAR == 0
        {
            // SAFETY: the operands are vectors of words, and the address one of the width that the decoder says;
            // `places` has found that the lanes' bytes lie in the memory at `host`.
            unsafe {
                if let Some(places) = places::<WIDE>(c, inst, base, len) {
                    if STORE {
                        store(c, &list, host, &places);
                    } else if LONG {
                        let at = |lane: usize| host.wrapping_add(places.0[lane] as usize).cast_const();
                        super::avx512::load_lanes(c, &list, at);
                    } else {
                        load(c, &list, host, &places);
                    }
                    return onward(c, i.wrapping_add(1));
                }
            }
        }
        // SAFETY: by the caller.
        unsafe { any::<S>(c, i) }
    }

    /// Loads the same words for all lanes, if they are aligned and lie in the memory.
    #[inline(always)]
    pub fn load_same(c: &mut Ctx, list: &[u32; 4], at: u64, memory: (u64, u64, *mut u8)) -> bool {
        let place = place(at, memory);
        if let Some(place) = place {
            let words: [u32; 4] = peek(place);
            for n in 0..4 {
                c.set_scalar(list[n], words[n]);
            }
        }
        place.is_some()
    }

    /// Where the four words at `at` lie, if they are aligned and lie in the memory.
    #[inline(always)]
    pub fn place(at: u64, (base, len, host): (u64, u64, *mut u8)) -> Option<*mut u8> {
        let place = at.wrapping_sub(base);
        let there = place < len && len - place >= BYTES && at & (BYTES - 1) == 0;
        there.then_some(host.wrapping_add(place as usize))
    }

    /// # Safety
    /// The address of `inst` is a vector, of doubles if it is `WIDE`.
    #[target_feature(enable = "avx2,fma,bmi1,bmi2,lzcnt,popcnt")]
    #[inline]
    unsafe fn places<const WIDE: bool>(c: &Ctx, inst: &Inst, base: u64, len: u64) -> Option<Places> {
        let last = len.checked_sub(BYTES)?;
        let last = u32::try_from(last).unwrap_or(!15);
        let mut found = Places([0; LANES]);
        let (mut most, mut bits, mut high) = (_mm256_setzero_si256(), _mm256_setzero_si256(), _mm256_setzero_si256());
        for n in 0..LANES / WIDTH {
            // SAFETY: the vector has 32 lanes.
            let at = unsafe {
                if WIDE {
                    let from = c.vector_place::<u64>(inst.a).cast::<u64>().add(n * WIDTH);
                    let shift = _mm256_set1_epi64x(inst.imm.wrapping_sub(base) as i64);
                    let first = _mm256_add_epi64(_mm256_loadu_si256(from.cast()), shift);
                    let second = _mm256_add_epi64(_mm256_loadu_si256(from.add(4).cast()), shift);
                    high = _mm256_or_si256(high, _mm256_or_si256(first, second));
                    let (first, second) = (_mm256_castsi256_ps(first), _mm256_castsi256_ps(second));
                    _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_castps_si256(_mm256_shuffle_ps::<0b10_00_10_00>(
                        first, second,
                    )))
                } else {
                    let from = c.vector_place::<u32>(inst.a).cast::<u32>().add(n * WIDTH);
                    _mm256_add_epi32(_mm256_loadu_si256(from.cast()), _mm256_set1_epi32(inst.imm as i32))
                }
            };
            most = _mm256_max_epu32(most, at);
            bits = _mm256_or_si256(bits, at);
            // SAFETY: `found` has room for 32 lanes.
            unsafe { _mm256_store_si256(found.0.as_mut_ptr().add(n * WIDTH).cast(), at) };
        }
        let bound = _mm256_set1_epi32(last as i32);
        let inside = _mm256_cmpeq_epi32(_mm256_max_epu32(most, bound), bound);
        let aligned = _mm256_testz_si256(bits, _mm256_set1_epi32(15)) != 0 && base & 15 == 0;
        let narrow = _mm256_testz_si256(high, _mm256_set1_epi64x(!0xffff_ffff)) != 0;
        (aligned && narrow && _mm256_movemask_epi8(inside) == -1).then_some(found)
    }

    /// Four rows of two lanes' words ↔ four words of eight lanes: the first lane of row `n` is lane `n`, the second
    /// lane `n + 4`.
    #[target_feature(enable = "avx2,fma,bmi1,bmi2,lzcnt,popcnt")]
    #[inline]
    fn transposed([a, b, c, d]: [__m256i; 4]) -> [__m256i; 4] {
        let (ab, cd) = (_mm256_unpacklo_epi32(a, b), _mm256_unpacklo_epi32(c, d));
        let (ab2, cd2) = (_mm256_unpackhi_epi32(a, b), _mm256_unpackhi_epi32(c, d));
        [
            _mm256_unpacklo_epi64(ab, cd),
            _mm256_unpackhi_epi64(ab, cd),
            _mm256_unpacklo_epi64(ab2, cd2),
            _mm256_unpackhi_epi64(ab2, cd2),
        ]
    }

    /// # Safety
    /// `list` names vectors of words, and 16 bytes at each of `places` behind `host` may be read.
    #[target_feature(enable = "avx2,fma,bmi1,bmi2,lzcnt,popcnt")]
    #[inline]
    unsafe fn load(c: &mut Ctx, list: &[u32; 4], host: *const u8, Places(at): &Places) {
        for first in (0..LANES).step_by(WIDTH) {
            let mut rows = [_mm256_setzero_si256(); 4];
            for n in 0..4 {
                let low = host.wrapping_add(at[first + n] as usize);
                let high = host.wrapping_add(at[first + n + 4] as usize);
                // SAFETY: by the caller.
                rows[n] = unsafe { _mm256_loadu2_m128i(high.cast(), low.cast()) };
            }
            let words = transposed(rows);
            for n in 0..4 {
                // SAFETY: by the caller.
                unsafe {
                    _mm256_storeu_si256(c.vector_place::<u32>(list[n]).cast::<u32>().add(first).cast(), words[n]);
                }
            }
        }
    }

    /// # Safety
    /// As [`load`], to be written.
    #[target_feature(enable = "avx2,fma,bmi1,bmi2,lzcnt,popcnt")]
    #[inline]
    unsafe fn store(c: &mut Ctx, list: &[u32; 4], host: *mut u8, Places(at): &Places) {
        for first in (0..LANES).step_by(WIDTH) {
            let mut words = [_mm256_setzero_si256(); 4];
            for n in 0..4 {
                // SAFETY: by the caller.
                words[n] =
                    unsafe { _mm256_loadu_si256(c.vector_place::<u32>(list[n]).cast::<u32>().add(first).cast()) };
            }
            let rows = transposed(words);
            // In the order of the lanes: the last one to write a place has the last word.
            for n in 0..WIDTH {
                let place = host.wrapping_add(at[first + n] as usize).cast();
                let half =
                    if n < 4 { _mm256_castsi256_si128(rows[n]) } else { _mm256_extracti128_si256::<1>(rows[n - 4]) };
                // SAFETY: by the caller.
                unsafe { _mm_storeu_si128(place, half) };
            }
        }
    }
}

/// Loads of 32-bit addresses with vectors of AVX-512: sixteen lanes at once.
#[cfg(target_arch = "x86_64")]
mod avx512 {
    use std::arch::x86_64::*;

    use super::avx2::{BYTES, load_same};
    use crate::code::Inst;
    use crate::slot::SCALAR;
    use crate::vm::ctx::{Ctx, FULL, LANES};
    use crate::vm::map::{Step, avx512 as any, onward};

    /// Lanes of a vector.
    const WIDTH: usize = 16;

    /// # Safety
    /// As `avx2::access`, at a load of a 32-bit address, on a machine with these features.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,bmi1,bmi2,lzcnt,popcnt")]
    pub unsafe fn load<S: Step, const SPACE: u8>(c: &mut Ctx, i: *const Inst) -> *const Inst {
        // SAFETY: by the caller.
        let inst = unsafe { &*i };
        let list = [c.extra(inst.c, 0), c.extra(inst.c, 1), c.extra(inst.c, 2), c.extra(inst.c, 3)];
        let memory = c.window::<SPACE>(inst.b);
        if inst.a & SCALAR != 0 && list[0] & list[1] & list[2] & list[3] & SCALAR != 0 {
            let at = u64::from(c.scalar::<u32>(inst.a).wrapping_add(inst.imm as u32));
            if load_same(c, &list, at, memory) {
                // SAFETY: by the caller.
                return unsafe { onward(c, i.wrapping_add(1)) };
            }
        } else if inst.a & SCALAR == 0 && c.warp.active == FULL && (list[0] | list[1] | list[2] | list[3]) & SCALAR == 0
        {
            // SAFETY: the operands are vectors of words, and the address is one of words.
            if unsafe { load_apart(c, inst, &list, memory) } {
                // SAFETY: by the caller.
                return unsafe { onward(c, i.wrapping_add(1)) };
            }
        }
        // SAFETY: by the caller.
        unsafe { any::<S>(c, i) }
    }

    /// Loads what each lane names, if all of it is aligned and lies in the memory.
    ///
    /// # Safety
    /// `list` and the address of `inst` name vectors of words.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,bmi1,bmi2,lzcnt,popcnt")]
    #[inline]
    unsafe fn load_apart(c: &mut Ctx, inst: &Inst, list: &[u32; 4], (base, len, host): (u64, u64, *mut u8)) -> bool {
        let (Ok(base), Some(last)) = (u32::try_from(base), len.checked_sub(BYTES)) else { return false };
        let last = _mm512_set1_epi32(u32::try_from(last).unwrap_or(!15) as i32);
        let shift = (inst.imm as u32).wrapping_sub(base);
        let from = c.vector_place::<u32>(inst.a).cast::<u32>();
        // SAFETY: the vector has 32 lanes.
        let (low, high, first, second) = unsafe {
            (_mm512_loadu_si512(from.cast()), _mm512_loadu_si512(from.add(WIDTH).cast()), *from, *from.add(1))
        };
        let (low, high) = (
            _mm512_add_epi32(low, _mm512_set1_epi32(shift as i32)),
            _mm512_add_epi32(high, _mm512_set1_epi32(shift as i32)),
        );
        let beyond = _mm512_cmpgt_epu32_mask(low, last) | _mm512_cmpgt_epu32_mask(high, last);
        let odd = _mm512_test_epi32_mask(_mm512_or_si512(low, high), _mm512_set1_epi32(15));
        if beyond | odd != 0 || base & 15 != 0 {
            return false;
        }
        // Rows of a tile lie at equal distances. Those of lanes 0 to 15 and 15 to 30 from the next one are all of them.
        let apart = second.wrapping_sub(first);
        let step = _mm512_set1_epi32(apart as i32);
        let near = _mm512_sub_epi32(_mm512_alignr_epi32::<1>(high, low), low);
        let far = _mm512_sub_epi32(_mm512_alignr_epi32::<1>(high, high), high);
        let even = _mm512_cmpeq_epi32_mask(near, step) & (_mm512_cmpeq_epi32_mask(far, step) | 0x8000) == 0xffff;
        // SAFETY: each lane's bytes lie in the memory at `host`.
        unsafe {
            if even {
                let host = host.wrapping_add(first.wrapping_add(shift) as usize).cast_const();
                let apart = apart as i32 as isize;
                load_lanes(c, list, |lane| host.wrapping_offset(lane as isize * apart));
            } else {
                let mut at = [0u32; LANES];
                _mm512_storeu_si512(at.as_mut_ptr().cast(), low);
                _mm512_storeu_si512(at.as_mut_ptr().add(WIDTH).cast(), high);
                load_lanes(c, list, |lane| host.wrapping_add(at[lane] as usize).cast_const());
            }
        }
        true
    }

    /// Loads four words for each lane from the place that `at` gives.
    ///
    /// # Safety
    /// `list` names vectors of words, and 16 bytes may be read at each lane's place.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,bmi1,bmi2,lzcnt,popcnt")]
    #[inline]
    pub unsafe fn load_lanes(c: &mut Ctx, list: &[u32; 4], at: impl Fn(usize) -> *const u8) {
        for first in (0..LANES).step_by(WIDTH) {
            let mut rows = [_mm512_setzero_si512(); 4];
            for n in 0..4 {
                // SAFETY: by the caller.
                let lane = |l: usize| unsafe { _mm_loadu_si128(at(first + n + l).cast()) };
                let row = _mm512_castsi128_si512(lane(0));
                let row = _mm512_mask_broadcast_i32x4(row, 0x00f0, lane(4));
                let row = _mm512_mask_broadcast_i32x4(row, 0x0f00, lane(8));
                rows[n] = _mm512_mask_broadcast_i32x4(row, 0xf000, lane(12));
            }
            let [a, b, c0, d] = rows;
            let (ab, cd) = (_mm512_unpacklo_epi32(a, b), _mm512_unpacklo_epi32(c0, d));
            let (ab2, cd2) = (_mm512_unpackhi_epi32(a, b), _mm512_unpackhi_epi32(c0, d));
            let words = [
                _mm512_unpacklo_epi64(ab, cd),
                _mm512_unpackhi_epi64(ab, cd),
                _mm512_unpacklo_epi64(ab2, cd2),
                _mm512_unpackhi_epi64(ab2, cd2),
            ];
            for n in 0..4 {
                // SAFETY: by the caller.
                unsafe {
                    _mm512_storeu_si512(c.vector_place::<u32>(list[n]).cast::<u32>().add(first).cast(), words[n]);
                }
            }
        }
    }
}
