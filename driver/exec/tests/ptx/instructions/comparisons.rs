//! Comparisons, choices and predicates.

use super::harness::W::{B, D, E, F, H, P};
use super::harness::{check, e, f, s, w};

#[test]
fn comparisons() {
    check("setp.lt.s32", P, &[B, B], |a, b, _| u64::from(s(a) < s(b)));
    check("setp.hi.u32", P, &[B, B], |a, b, _| u64::from(w(a) > w(b)));
    check("setp.ne.b32", P, &[B, B], |a, b, _| u64::from(w(a) != w(b)));
    check("setp.eq.s64", P, &[D, D], |a, b, _| u64::from(a == b));
    check("setp.ge.u64", P, &[D, D], |a, b, _| u64::from(a >= b));
    check("setp.lt.s64", P, &[D, D], |a, b, _| u64::from((a as i64) < b as i64));
    check("setp.le.s16", P, &[H, H], |a, b, _| u64::from(a as i16 <= b as i16));
    check("setp.eq.f32", P, &[F, F], |a, b, _| u64::from(f(a) == f(b)));
    check("setp.ne.f32", P, &[F, F], |a, b, _| u64::from(f(a) < f(b) || f(a) > f(b)));
    check("setp.neu.f32", P, &[F, F], |a, b, _| u64::from(f(a) != f(b)));
    check("setp.equ.f32", P, &[F, F], |a, b, _| u64::from(f(a).is_nan() || f(b).is_nan() || f(a) == f(b)));
    check("setp.gt.f32", P, &[F, F], |a, b, _| u64::from(f(a) > f(b)));
    check("setp.leu.f32", P, &[F, F], |a, b, _| u64::from(f(a).is_nan() || f(b).is_nan() || f(a) <= f(b)));
    check("setp.gtu.f32", P, &[F, F], |a, b, _| u64::from(f(a).is_nan() || f(b).is_nan() || f(a) > f(b)));
    check("setp.num.f32", P, &[F, F], |a, b, _| u64::from(!f(a).is_nan() && !f(b).is_nan()));
    check("setp.nan.f64", P, &[E, E], |a, b, _| u64::from(e(a).is_nan() || e(b).is_nan()));
    check("setp.geu.f64", P, &[E, E], |a, b, _| u64::from(e(a).is_nan() || e(b).is_nan() || e(a) >= e(b)));
    check("setp.lt.and.s32", P, &[B, B, P], |a, b, c| u64::from(s(a) < s(b) && w(c) != 0));
    check("setp.lt.xor.s32", P, &[B, B, P], |a, b, c| u64::from((s(a) < s(b)) != (w(c) != 0)));
    check("selp.b32", B, &[B, B, P], |a, b, c| if w(c) != 0 { w(a) } else { w(b) });
    check("selp.f64", E, &[E, E, P], |a, b, c| if w(c) != 0 { a } else { b });
    check("slct.s32.s32", B, &[B, B, B], |a, b, c| if s(c) >= 0 { w(a) } else { w(b) });
    check("slct.b32.f32", B, &[B, B, F], |a, b, c| if f(c) >= 0.0 { w(a) } else { w(b) });
    check("set.lt.u32.s32", B, &[B, B], |a, b, _| if s(a) < s(b) { 0xffff_ffff } else { 0 });
    check("set.gt.f32.f32", F, &[F, F], |a, b, _| if f(a) > f(b) { 0x3f80_0000 } else { 0 });
    check("and.pred", P, &[P, P], |a, b, _| u64::from(w(a) != 0 && w(b) != 0));
    check("xor.pred", P, &[P, P], |a, b, _| u64::from((w(a) != 0) != (w(b) != 0)));
    check("not.pred", P, &[P], |a, _, _| u64::from(w(a) == 0));
}
