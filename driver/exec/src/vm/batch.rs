//! Several of the instructions behind it at once: loads for the whole warp, and chains that share factors.
//!
//! Each of these either does all that it stands for and skips it, or goes on to it. They are written for AVX-512,
//! with whose vectors all sums of a group have a register.

use super::map::{Pause, cold};
use crate::code::{Handler, HandlerSet};

/// Chains, or pairs of them, that are made at once, at most.
pub(crate) const MOST: usize = 8;

/// The handlers of several loads of four words for the whole warp, from one address. `d`: how many, `a`: address,
/// `imm`: the four slots that one writes lie one behind the other.
pub(crate) fn loads<const SPACE: u8, const WIDE: bool>() -> HandlerSet {
    #[cfg(target_arch = "x86_64")]
    return with(avx512::loads::<SPACE, WIDE>);
    #[cfg(not(target_arch = "x86_64"))]
    cold::<Pause>()
}

/// The handlers of `count` chains, or pairs of them, each a scalar of its own times the vectors that all share;
/// `None`: there are none. `b`: list, `c`: links, `imm`, a bit for each destination: the bits of a NaN are seen. The
/// list: destinations, first addends, then for each link its vectors, one or two, and `count` scalars.
pub(crate) fn products(count: usize, chains: usize) -> Option<HandlerSet> {
    #[cfg(target_arch = "x86_64")]
    return Some(with(match (count, chains) {
        (2, 1) => avx512::products::<2, 1>,
        (4, 1) => avx512::products::<4, 1>,
        (8, 1) => avx512::products::<8, 1>,
        (2, 2) => avx512::products::<2, 2>,
        (4, 2) => avx512::products::<4, 2>,
        _ => return None,
    }));
    #[cfg(not(target_arch = "x86_64"))]
    None
}

fn with(avx512: Handler) -> HandlerSet {
    let [baseline, avx2, _] = cold::<Pause>().0;
    HandlerSet([baseline, avx2, avx512])
}

#[cfg(target_arch = "x86_64")]
mod avx512 {
    use std::arch::x86_64::*;

    use crate::code::Inst;
    use crate::vm::ctx::{Ctx, FULL};
    use crate::vm::map::onward;
    use crate::vm::memory::GLOBAL;
    use crate::vm::quad::avx2::place;
    use crate::vm::rounding::NAN32;

    /// Lanes of a vector, and vectors of a warp.
    const WIDTH: usize = 16;
    const HALVES: usize = 2;

    /// # Safety
    /// `i` points into the code that `c` runs, `d` loads of four words by that address are behind it, all operands of
    /// which are scalars, and none but the last of which may write the address; the machine has these features.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,bmi1,bmi2,lzcnt,popcnt")]
    pub unsafe fn loads<const SPACE: u8, const WIDE: bool>(c: &mut Ctx, i: *const Inst) -> *const Inst {
        // SAFETY: by the caller.
        let inst = unsafe { &*i };
        let next = i.wrapping_add(1);
        if SPACE == GLOBAL && !c.footprint.is_null() {
            return next;
        }
        let start = if WIDE { c.scalar::<u64>(inst.a) } else { u64::from(c.scalar::<u32>(inst.a)) };
        for n in 0..inst.d as usize {
            // SAFETY: by the caller.
            let load = unsafe { &*next.add(n) };
            let at = start.wrapping_add(load.imm);
            let at = if WIDE { at } else { u64::from(at as u32) };
            let Some(place) = place(at, c.window::<SPACE>(load.b)) else { return next };
            // SAFETY: sixteen bytes lie at `place`; a scalar's slot has eight bytes, and those of the four are
            // one behind the other where the decoder says so.
            unsafe {
                let words = _mm_loadu_si128(place.cast());
                if inst.imm != 0 {
                    let to = c.scalar_place::<u32>(c.extra(load.c, 0));
                    _mm256_storeu_si256(to.cast(), _mm256_cvtepu32_epi64(words));
                } else {
                    let mut apart = [0u32; 4];
                    _mm_storeu_si128(apart.as_mut_ptr().cast(), words);
                    for (n, word) in apart.into_iter().enumerate() {
                        c.set_scalar(c.extra(load.c, n), word);
                    }
                }
            }
        }
        // SAFETY: by the caller.
        unsafe { onward(c, next.wrapping_add(inst.d as usize)) }
    }

    /// # Safety
    /// `i` points into the code that `c` runs, as many chains or pairs are behind it, and its list is as [`super::products`]
    /// says; the machine has these features.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,bmi1,bmi2,lzcnt,popcnt")]
    pub unsafe fn products<const COUNT: usize, const CHAINS: usize>(c: &mut Ctx, i: *const Inst) -> *const Inst {
        // SAFETY: by the caller.
        let inst = unsafe { &*i };
        let next = i.wrapping_add(1);
        if c.warp.active != FULL {
            return next;
        }
        // SAFETY: the decoder has written the list; its slots lie within the register file (`Ctx::place`).
        unsafe {
            let vector = |operand: u32| c.vector_place::<u32>(operand).cast::<f32>();
            let mut sums = [[[_mm512_setzero_ps(); HALVES]; CHAINS]; COUNT];
            for n in 0..COUNT {
                for k in 0..CHAINS {
                    let from = vector(c.extra(inst.b, (COUNT + n) * CHAINS + k));
                    sums[n][k] = [_mm512_loadu_ps(from), _mm512_loadu_ps(from.add(WIDTH))];
                }
            }
            let mut at = 2 * COUNT * CHAINS;
            for _ in 0..inst.c {
                let mut shared = [[_mm512_setzero_ps(); HALVES]; CHAINS];
                for k in 0..CHAINS {
                    let from = vector(c.extra(inst.b, at + k));
                    shared[k] = [_mm512_loadu_ps(from), _mm512_loadu_ps(from.add(WIDTH))];
                }
                for n in 0..COUNT {
                    let scalar = _mm512_set1_ps(f32::from_bits(c.scalar(c.extra(inst.b, at + CHAINS + n))));
                    for k in 0..CHAINS {
                        for half in 0..HALVES {
                            sums[n][k][half] = _mm512_fmadd_ps(scalar, shared[k][half], sums[n][k][half]);
                        }
                    }
                }
                at += CHAINS + COUNT;
            }
            for n in 0..COUNT {
                for k in 0..CHAINS {
                    let to = vector(c.extra(inst.b, n * CHAINS + k));
                    let seen = inst.imm >> (n * CHAINS + k) & 1 != 0;
                    for half in 0..HALVES {
                        let mut sum = sums[n][k][half];
                        if seen {
                            let nan = _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(sum, sum);
                            sum = _mm512_mask_mov_ps(sum, nan, _mm512_set1_ps(f32::from_bits(NAN32)));
                        }
                        _mm512_storeu_ps(to.add(half * WIDTH), sum);
                    }
                }
            }
            onward(c, next.wrapping_add(COUNT))
        }
    }
}
