//! `shfl.sync` of a whole warp with AVX-512. Everything else goes the way of [`Shuffle`].

use super::map::step;
use super::warp_ops::Shuffle;
use crate::code::HandlerSet;

/// The handlers of `shfl.sync`.
pub(crate) fn shuffle() -> HandlerSet {
    let any = step::<Shuffle>();
    #[cfg(target_arch = "x86_64")]
    return HandlerSet([any.0[0], any.0[1], avx512::shuffle]);
    #[cfg(not(target_arch = "x86_64"))]
    any
}

#[cfg(target_arch = "x86_64")]
mod avx512 {
    use std::arch::x86_64::*;

    use super::Shuffle;
    use crate::code::Inst;
    use crate::slot::SCALAR;
    use crate::vm::ctx::{Ctx, FULL};
    use crate::vm::map::{avx512 as any, onward};

    /// # Safety
    /// `i` points into the code that `c` runs, at a `shfl.sync`, and the machine has these features.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,bmi1,bmi2,lzcnt,popcnt")]
    pub unsafe fn shuffle(c: &mut Ctx, i: *const Inst) -> *const Inst {
        // SAFETY: by the caller.
        let inst = unsafe { &*i };
        let operand = |n: usize| c.extra(inst.c, n);
        let (d, p, source) = (operand(0), operand(1), operand(2));
        let (by, bound, members) = (operand(3), operand(4), operand(5));
        let vectors = (d | source) & SCALAR == 0;
        let together = c.warp.active == FULL && members & SCALAR != 0 && c.scalar::<u32>(members) == FULL;
        if !(vectors && together) {
            // SAFETY: by the caller.
            return unsafe { any::<Shuffle>(c, i) };
        }
        let count = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
        let low_bits = _mm512_set1_epi32(31);
        let mut inside = 0u32;
        // SAFETY: the operands are words, `d` and `source` vectors; the slots lie within the register file (`Ctx::place`).
        unsafe {
            let half = |operand: u32, n: usize| {
                if operand & SCALAR != 0 {
                    _mm512_set1_epi32(c.scalar::<u32>(operand) as i32)
                } else {
                    _mm512_loadu_epi32(c.vector_place::<u32>(operand).cast::<i32>().add(16 * n))
                }
            };
            let values = [half(source, 0), half(source, 1)];
            let mut results = [_mm512_setzero_si512(); 2];
            for n in 0..2 {
                let lane = _mm512_add_epi32(count, _mm512_set1_epi32(16 * n as i32));
                let (by, bound) = (_mm512_and_si512(half(by, n), low_bits), half(bound, n));
                let segment = _mm512_and_si512(_mm512_srli_epi32::<8>(bound), low_bits);
                let min = _mm512_and_si512(lane, segment);
                let of_segment = |x| _mm512_or_si512(min, _mm512_andnot_si512(segment, x));
                let max = of_segment(_mm512_and_si512(bound, low_bits));
                let (from, ok) = match inst.imm & 3 {
                    0 => {
                        let from = _mm512_sub_epi32(lane, by);
                        (from, _mm512_cmpge_epi32_mask(from, max))
                    }
                    1 => {
                        let from = _mm512_add_epi32(lane, by);
                        (from, _mm512_cmple_epi32_mask(from, max))
                    }
                    2 => {
                        let from = _mm512_xor_si512(lane, by);
                        (from, _mm512_cmple_epi32_mask(from, max))
                    }
                    _ => {
                        let from = of_segment(by);
                        (from, _mm512_cmple_epi32_mask(from, max))
                    }
                };
                let from = _mm512_mask_mov_epi32(lane, ok, from);
                results[n] = _mm512_permutex2var_epi32(values[0], from, values[1]);
                inside |= u32::from(ok) << (16 * n);
            }
            for (n, result) in results.into_iter().enumerate() {
                _mm512_storeu_epi32(c.vector_place::<u32>(d).cast::<i32>().add(16 * n), result);
            }
            if inst.imm & 4 == 0 {
                c.set_predicate(p, inside);
            }
            onward(c, i.wrapping_add(1))
        }
    }
}
