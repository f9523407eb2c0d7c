//! What the processor could do: a loop of fused multiply-adds written by hand, as a yardstick.

use std::time::Duration;

use super::thread_time;
use crate::isa::Isa;

/// Independent sums: enough to hide the latency of an fma on two ports.
const SUMS: usize = 12;
const TURNS: usize = 1 << 16;

/// Lanes multiplied and added by one thread in a second of its processor time, in vectors as wide as those of
/// `isa`; the fastest of several runs. `None` where the loop is not written for it.
pub fn fma_lanes_per_second(isa: Isa) -> Option<f64> {
    let (turns, width): (fn() -> f32, usize) = match isa {
        Isa::Baseline => return None,
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => (avx2, 8),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => (avx512, 16),
        #[cfg(not(target_arch = "x86_64"))]
        _ => return None,
    };
    if !Isa::available().contains(&isa) {
        return None;
    }
    let mut best = Duration::MAX;
    for _ in 0..40 {
        let start = thread_time();
        std::hint::black_box(turns());
        best = best.min(thread_time().saturating_sub(start));
    }
    Some((SUMS * TURNS * width) as f64 / best.as_secs_f64())
}

#[cfg(target_arch = "x86_64")]
macro_rules! turns {
    ($name:ident, $inner:ident, $features:literal, $splat:ident, $fma:ident, $first:ident) => {
        fn $name() -> f32 {
            #[target_feature(enable = $features)]
            fn $inner() -> f32 {
                use std::arch::x86_64::*;
                let (by, plus) = ($splat(std::hint::black_box(0.999)), $splat(std::hint::black_box(0.5)));
                let mut sums = [$splat(1.0); SUMS];
                for _ in 0..TURNS {
                    for sum in &mut sums {
                        *sum = $fma(*sum, by, plus);
                    }
                }
                sums.iter().map(|sum| $first(*sum)).sum()
            }
            // SAFETY: the caller has asked whether the processor has the instructions.
            unsafe { $inner() }
        }
    };
}
#[cfg(target_arch = "x86_64")]
turns!(avx2, avx2_turns, "avx2,fma", _mm256_set1_ps, _mm256_fmadd_ps, _mm256_cvtss_f32);
#[cfg(target_arch = "x86_64")]
turns!(avx512, avx512_turns, "avx512f", _mm512_set1_ps, _mm512_fmadd_ps, _mm512_cvtss_f32);
