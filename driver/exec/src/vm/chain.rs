//! Chains of fused multiply-adds, which keep their sums in the host's registers.
//!
//! `d`: destination, `a`: first addend, `b`: list of factors, `c`: links, `imm`, a bit for each destination: the
//! bits of a NaN are seen. Of a pair, the list begins with the second destination and addend, and has three
//! factors a link: the one that both share, that of the first, that of the second.

use super::ctx::{Ctx, LANES};
use super::map::{Exec, exec};
use super::rounding::canonical;
use crate::code::{HandlerSet, Inst};
use crate::slot::SCALAR;

/// What the factors of a chain are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Links {
    /// The first one of each link is a scalar, the others are vectors.
    Scaled,
    /// All are vectors.
    Vectors,
    /// Anything.
    Any,
}

/// What the factors of `links` are, for destinations `d`.
pub(crate) fn links(d: &[u32], links: &[Vec<u32>]) -> Links {
    let all = |first: u32| {
        links.iter().all(|link| link[0] & SCALAR == first && link[1..].iter().all(|factor| factor & SCALAR == 0))
    };
    match d.iter().all(|d| d & SCALAR == 0) {
        true if all(SCALAR) => Links::Scaled,
        true if all(0) => Links::Vectors,
        _ => Links::Any,
    }
}

/// The handlers of one chain.
pub(crate) fn single(links: Links) -> HandlerSet {
    choose::<1>(links)
}

/// The handlers of two chains whose links share a factor each.
pub(crate) fn pair(links: Links) -> HandlerSet {
    choose::<2>(links)
}

fn choose<const CHAINS: usize>(links: Links) -> HandlerSet {
    let any = exec::<Chain<CHAINS>>();
    #[cfg(target_arch = "x86_64")]
    match links {
        Links::Any => any,
        Links::Scaled => HandlerSet([any.0[0], avx2::chain::<true, CHAINS>, avx512::chain::<true, CHAINS>]),
        Links::Vectors => HandlerSet([any.0[0], avx2::chain::<false, CHAINS>, avx512::chain::<false, CHAINS>]),
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        let _ = links;
        any
    }
}

/// Destination and first addend of a chain.
#[inline(always)]
fn ends(c: &Ctx, i: &Inst, chain: usize) -> (u32, u32) {
    if chain == 0 { (i.d, i.a) } else { (c.extra(i.b, 0), c.extra(i.b, 1)) }
}

/// Where the factors of a link stand in the list.
#[inline(always)]
fn place<const CHAINS: usize>(link: usize) -> usize {
    2 * (CHAINS - 1) + link * (CHAINS + 1)
}

/// Chains of any operands.
struct Chain<const CHAINS: usize>;
impl<const CHAINS: usize> Exec for Chain<CHAINS> {
    #[inline(always)]
    fn exec(c: &mut Ctx, i: &Inst) {
        let mut sums = [[0u32; LANES]; CHAINS];
        for n in 0..CHAINS {
            sums[n] = c.lanes(ends(c, i, n).1);
        }
        for link in 0..i.c as usize {
            let at = place::<CHAINS>(link);
            let a: [u32; LANES] = c.lanes(c.extra(i.b, at));
            for n in 0..CHAINS {
                let b: [u32; LANES] = c.lanes(c.extra(i.b, at + 1 + n));
                for l in 0..LANES {
                    let sum = f32::from_bits(a[l]).mul_add(f32::from_bits(b[l]), f32::from_bits(sums[n][l]));
                    sums[n][l] = sum.to_bits();
                }
            }
        }
        for n in 0..CHAINS {
            for l in 0..LANES {
                sums[n][l] = canonical(f32::from_bits(sums[n][l])).to_bits();
            }
            c.set_lanes(ends(c, i, n).0, sums[n]);
        }
    }
}

/// The chains of an instruction set: its features, its vectors and how many make a warp, and what is done with
/// them.
#[cfg(target_arch = "x86_64")]
macro_rules! vectors {
    ($name:ident, $features:literal, $vector:ty, $count:literal, $load:ident, $store:ident, $splat:ident, $fma:ident,
     |$x:ident, $nan:ident| $canonical:expr) => {
        mod $name {
            use std::arch::x86_64::*;

            use super::{ends, place};
            use crate::code::Inst;
            use crate::slot::SCALAR;
            use crate::vm::ctx::{Ctx, FULL, LANES};
            use crate::vm::map::onward;
            use crate::vm::rounding::NAN32;

            /// `SCALED`: the first factor of each link is a scalar.
            ///
            /// # Safety
            /// `i` points into the code that `c` runs, and the machine has these features.
            #[target_feature(enable = $features)]
            pub unsafe fn chain<const SCALED: bool, const CHAINS: usize>(c: &mut Ctx, i: *const Inst) -> *const Inst {
                const WIDTH: usize = LANES / $count;
                // SAFETY: by the caller.
                let i = unsafe { &*i };
                // SAFETY: the decoder has written the list, and chosen this form by the kinds of the operands; their
                // slots lie within the register file (`Ctx::place`).
                unsafe {
                    let scalar = |operand: u32| $splat(*c.scalar_place::<u32>(operand).cast::<f32>());
                    let vector =
                        |operand: u32, n: usize| $load(c.vector_place::<u32>(operand).cast::<f32>().add(n * WIDTH));
                    let mut sums = [[$splat(0.0); $count]; CHAINS];
                    for k in 0..CHAINS {
                        let addend = ends(c, i, k).1;
                        for n in 0..$count {
                            sums[k][n] = if addend & SCALAR != 0 { scalar(addend) } else { vector(addend, n) };
                        }
                    }
                    for link in 0..i.c as usize {
                        let factor = |n: usize| c.extra(i.b, place::<CHAINS>(link) + n);
                        let same = if SCALED { scalar(factor(0)) } else { $splat(0.0) };
                        for n in 0..$count {
                            let a = if SCALED { same } else { vector(factor(0), n) };
                            for k in 0..CHAINS {
                                sums[k][n] = $fma(a, vector(factor(k + 1), n), sums[k][n]);
                            }
                        }
                    }
                    for k in 0..CHAINS {
                        if i.imm >> k & 1 != 0 {
                            let $nan = $splat(f32::from_bits(NAN32));
                            for n in 0..$count {
                                let $x = sums[k][n];
                                sums[k][n] = $canonical;
                            }
                        }
                    }
                    for k in 0..CHAINS {
                        let d = ends(c, i, k).0;
                        if c.warp.active == FULL {
                            let place = c.vector_place::<u32>(d).cast::<f32>();
                            for n in 0..$count {
                                $store(place.add(n * WIDTH), sums[k][n]);
                            }
                        } else {
                            let mut lanes = [0u32; LANES];
                            for n in 0..$count {
                                $store(lanes.as_mut_ptr().cast::<f32>().add(n * WIDTH), sums[k][n]);
                            }
                            c.set_vector(d, lanes);
                        }
                    }
                    onward(c, std::ptr::from_ref(i).wrapping_add(1))
                }
            }
        }
    };
}
#[cfg(target_arch = "x86_64")]
vectors!(
    avx2,
    "avx2,fma,bmi1,bmi2,lzcnt,popcnt",
    __m256,
    4,
    _mm256_loadu_ps,
    _mm256_storeu_ps,
    _mm256_set1_ps,
    _mm256_fmadd_ps,
    |x, nan| _mm256_blendv_ps(x, nan, _mm256_cmp_ps::<_CMP_UNORD_Q>(x, x))
);
#[cfg(target_arch = "x86_64")]
vectors!(
    avx512,
    "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,bmi1,bmi2,lzcnt,popcnt",
    __m512,
    2,
    _mm512_loadu_ps,
    _mm512_storeu_ps,
    _mm512_set1_ps,
    _mm512_fmadd_ps,
    |x, nan| _mm512_mask_mov_ps(x, _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(x, x), nan)
);
