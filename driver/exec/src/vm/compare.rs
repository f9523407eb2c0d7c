//! Comparisons of all lanes with AVX-512, whose result is a predicate as it is.

use super::lane::Lane;
use super::map::{Next, exec};
use super::predicate::{Compare, Setp};
use crate::code::HandlerSet;

/// What a comparison asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Test {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    Equ,
    Neu,
    Ltu,
    Leu,
    Gtu,
    Geu,
    Num,
    Nan,
}

/// What the host's vectors can compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Numbers {
    U32,
    I32,
    F32,
    U64,
    I64,
    F64,
}

/// The handlers of a comparison of vectors, or (`B`) of one with a scalar.
pub(crate) fn setp<C: Compare, const B: bool>() -> HandlerSet {
    let any = exec::<Setp<C, B>>();
    #[cfg(target_arch = "x86_64")]
    if <C::T as Lane>::NUMBERS.is_some() {
        return HandlerSet([any.0[0], any.0[1], avx512::setp::<Next<Setp<C, B>>, C, B>]);
    }
    any
}

#[cfg(target_arch = "x86_64")]
mod avx512 {
    use std::arch::x86_64::*;

    use super::{Numbers, Test};
    use crate::code::Inst;
    use crate::vm::ctx::Ctx;
    use crate::vm::lane::Lane;
    use crate::vm::map::{Step, avx512 as any, onward};
    use crate::vm::predicate::Compare;

    /// One comparison of integers: PTX's names, and those of the instruction's immediate.
    macro_rules! integers {
        ($cmp:ident, $test:expr, $a:expr, $b:expr) => {
            match $test {
                Test::Eq | Test::Equ => $cmp::<_MM_CMPINT_EQ>($a, $b),
                Test::Ne | Test::Neu => $cmp::<_MM_CMPINT_NE>($a, $b),
                Test::Lt | Test::Ltu => $cmp::<_MM_CMPINT_LT>($a, $b),
                Test::Le | Test::Leu => $cmp::<_MM_CMPINT_LE>($a, $b),
                Test::Gt | Test::Gtu => $cmp::<_MM_CMPINT_NLE>($a, $b),
                Test::Ge | Test::Geu => $cmp::<_MM_CMPINT_NLT>($a, $b),
                Test::Num => $cmp::<_MM_CMPINT_TRUE>($a, $b),
                Test::Nan => $cmp::<_MM_CMPINT_FALSE>($a, $b),
            }
        };
    }

    macro_rules! reals {
        ($cmp:ident, $test:expr, $a:expr, $b:expr) => {
            match $test {
                Test::Eq => $cmp::<_CMP_EQ_OQ>($a, $b),
                Test::Ne => $cmp::<_CMP_NEQ_OQ>($a, $b),
                Test::Lt => $cmp::<_CMP_LT_OQ>($a, $b),
                Test::Le => $cmp::<_CMP_LE_OQ>($a, $b),
                Test::Gt => $cmp::<_CMP_GT_OQ>($a, $b),
                Test::Ge => $cmp::<_CMP_GE_OQ>($a, $b),
                Test::Equ => $cmp::<_CMP_EQ_UQ>($a, $b),
                Test::Neu => $cmp::<_CMP_NEQ_UQ>($a, $b),
                Test::Ltu => $cmp::<_CMP_NGE_UQ>($a, $b),
                Test::Leu => $cmp::<_CMP_NGT_UQ>($a, $b),
                Test::Gtu => $cmp::<_CMP_NLE_UQ>($a, $b),
                Test::Geu => $cmp::<_CMP_NLT_UQ>($a, $b),
                Test::Num => $cmp::<_CMP_ORD_Q>($a, $b),
                Test::Nan => $cmp::<_CMP_UNORD_Q>($a, $b),
            }
        };
    }

    /// A mask over 32 lanes of type `$t` in slots of `$slot`: `$count` vectors, compared by `$cmp` as `$numbers`.
    macro_rules! lanes {
        ($c:ident, $i:ident, $slot:ty, $t:ty, $count:literal, $load:ident, $splat:ident, $cmp:ident as $numbers:ident) => {{
            const WIDTH: usize = 32 / $count;
            let from = |operand: u32, n: usize| {
                $load($c.vector_place::<$slot>(operand).cast::<$t>().wrapping_add(n * WIDTH).cast())
            };
            let same = if B { $splat(peek_as::<$slot, $t>($c, $i.b)) } else { $splat(<$t>::default()) };
            let mut all = 0u32;
            for n in 0..$count {
                let b = if B { same } else { from($i.b, n) };
                all |= u32::from($numbers!($cmp, C::TEST, from($i.a, n), b)) << (n * WIDTH);
            }
            all
        }};
    }

    /// # Safety
    /// `operand` is a scalar that holds a `T` in a slot of `S`.
    #[inline(always)]
    unsafe fn peek_as<S: crate::vm::lane::Slot, T: Copy>(c: &Ctx, operand: u32) -> T {
        // SAFETY: by the caller.
        unsafe { *c.scalar_place::<S>(operand).cast::<T>() }
    }

    /// # Safety
    /// `i` points into the code that `c` runs, at a comparison `C` of a vector with a vector or (`B`) a scalar, and
    /// the machine has these features.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,bmi1,bmi2,lzcnt,popcnt")]
    pub unsafe fn setp<S: Step, C: Compare, const B: bool>(c: &mut Ctx, i: *const Inst) -> *const Inst {
        // SAFETY: by the caller; the slots lie within the register file (`Ctx::place`).
        unsafe {
            let inst = &*i;
            let mask = match <C::T as Lane>::NUMBERS {
                Some(Numbers::U32) => lanes!(
                    c,
                    inst,
                    u32,
                    i32,
                    2,
                    _mm512_loadu_epi32,
                    _mm512_set1_epi32,
                    _mm512_cmp_epu32_mask as integers
                ),
                Some(Numbers::I32) => lanes!(
                    c,
                    inst,
                    u32,
                    i32,
                    2,
                    _mm512_loadu_epi32,
                    _mm512_set1_epi32,
                    _mm512_cmp_epi32_mask as integers
                ),
                Some(Numbers::F32) => {
                    lanes!(c, inst, u32, f32, 2, _mm512_loadu_ps, _mm512_set1_ps, _mm512_cmp_ps_mask as reals)
                }
                Some(Numbers::U64) => lanes!(
                    c,
                    inst,
                    u64,
                    i64,
                    4,
                    _mm512_loadu_epi64,
                    _mm512_set1_epi64,
                    _mm512_cmp_epu64_mask as integers
                ),
                Some(Numbers::I64) => lanes!(
                    c,
                    inst,
                    u64,
                    i64,
                    4,
                    _mm512_loadu_epi64,
                    _mm512_set1_epi64,
                    _mm512_cmp_epi64_mask as integers
                ),
                Some(Numbers::F64) => {
                    lanes!(c, inst, u64, f64, 4, _mm512_loadu_pd, _mm512_set1_pd, _mm512_cmp_pd_mask as reals)
                }
                None => return any::<S>(c, i),
            };
            c.set_predicate(inst.d, mask);
            onward(c, i.wrapping_add(1))
        }
    }
}
