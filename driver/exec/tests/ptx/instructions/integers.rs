//! Arithmetic of integers.

use super::harness::W::{B, D, H};
use super::harness::{check, s, w};

#[test]
fn integers_of_32_bits() {
    check("add.s32", B, &[B, B], |a, b, _| w(a.wrapping_add(b)));
    check("sub.u32", B, &[B, B], |a, b, _| w(a.wrapping_sub(b)));
    check("mul.lo.u32", B, &[B, B], |a, b, _| w(w(a).wrapping_mul(w(b))));
    check("mul.hi.u32", B, &[B, B], |a, b, _| (w(a) * w(b)) >> 32);
    check("mul.hi.s32", B, &[B, B], |a, b, _| w(((s(a) * s(b)) >> 32) as u64));
    check("mul.wide.u32", D, &[B, B], |a, b, _| w(a) * w(b));
    check("mul.wide.s32", D, &[B, B], |a, b, _| (s(a) * s(b)) as u64);
    check("mad.lo.s32", B, &[B, B, B], |a, b, c| w(a.wrapping_mul(b).wrapping_add(c)));
    check("mad.hi.u32", B, &[B, B, B], |a, b, c| w(((w(a) * w(b)) >> 32) + w(c)));
    check("mad.wide.s32", D, &[B, B, D], |a, b, c| ((s(a) * s(b)) as u64).wrapping_add(c));
    check("mad.wide.u32", D, &[B, B, D], |a, b, c| (w(a) * w(b)).wrapping_add(c));
    check("div.u32", B, &[B, B], |a, b, _| if w(b) == 0 { 0xffff_ffff } else { w(a) / w(b) });
    check("div.s32", B, &[B, B], |a, b, _| if w(b) == 0 { 0xffff_ffff } else { w((s(a) / s(b)) as u64) });
    check("rem.u32", B, &[B, B], |a, b, _| if w(b) == 0 { w(a) } else { w(a) % w(b) });
    check("rem.s32", B, &[B, B], |a, b, _| if w(b) == 0 { w(a) } else { w((s(a) % s(b)) as u64) });
    check("min.s32", B, &[B, B], |a, b, _| w(s(a).min(s(b)) as u64));
    check("max.s32", B, &[B, B], |a, b, _| w(s(a).max(s(b)) as u64));
    check("min.u32", B, &[B, B], |a, b, _| w(a).min(w(b)));
    check("max.u32", B, &[B, B], |a, b, _| w(a).max(w(b)));
    check("abs.s32", B, &[B], |a, _, _| w(s(a).unsigned_abs()));
    check("neg.s32", B, &[B], |a, _, _| w(s(a).wrapping_neg() as u64));
    check("sad.s32", B, &[B, B, B], |a, b, c| w((s(a) - s(b)).unsigned_abs().wrapping_add(c)));
    check("sad.u32", B, &[B, B, B], |a, b, c| w(w(a).abs_diff(w(b)).wrapping_add(c)));
    check("add.sat.s32", B, &[B, B], |a, b, _| w((s(a) + s(b)).clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as u64));
    check("sub.sat.s32", B, &[B, B], |a, b, _| w((s(a) - s(b)).clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as u64));
    check("mul24.lo.u32", B, &[B, B], |a, b, _| w((a & 0xff_ffff) * (b & 0xff_ffff)));
    check("dp4a.u32.u32", B, &[B, B, B], |a, b, c| {
        w((0..4).fold(c, |t, n| t.wrapping_add((a >> (8 * n) & 255) * (b >> (8 * n) & 255))))
    });
    check("dp4a.s32.s32", B, &[B, B, B], |a, b, c| {
        let byte = |x: u64, n: u32| i64::from((x >> (8 * n)) as u8 as i8);
        w((0..4).fold(c as i64, |t, n| t.wrapping_add(byte(a, n) * byte(b, n))) as u64)
    });
}

#[test]
fn integers_of_other_widths() {
    let h = |x: u64| x & 0xffff;
    let t = |x: u64| i64::from(x as u16 as i16);
    check("add.s16", H, &[H, H], |a, b, _| h(a.wrapping_add(b)));
    check("mul.lo.s16", H, &[H, H], |a, b, _| h(a.wrapping_mul(b)));
    check("mul.wide.s16", B, &[H, H], |a, b, _| w((t(a) * t(b)) as u64));
    check("mul.wide.u16", B, &[H, H], |a, b, _| h(a) * h(b));
    check("min.s16", H, &[H, H], |a, b, _| h(t(a).min(t(b)) as u64));
    check("shr.s16", H, &[H, B], |a, b, _| h((t(a) >> w(b).min(15)) as u64));
    check("shl.b16", H, &[H, B], |a, b, _| if w(b) > 15 { 0 } else { h(a << w(b)) });
    check("not.b16", H, &[H], |a, _, _| h(!a));
    check("add.s64", D, &[D, D], |a, b, _| a.wrapping_add(b));
    check("sub.s64", D, &[D, D], |a, b, _| a.wrapping_sub(b));
    check("mul.lo.u64", D, &[D, D], |a, b, _| a.wrapping_mul(b));
    check("mul.hi.u64", D, &[D, D], |a, b, _| ((u128::from(a) * u128::from(b)) >> 64) as u64);
    check("mul.hi.s64", D, &[D, D], |a, b, _| ((i128::from(a as i64) * i128::from(b as i64)) >> 64) as u64);
    check("mad.lo.s64", D, &[D, D, D], |a, b, c| a.wrapping_mul(b).wrapping_add(c));
    check("div.u64", D, &[D, D], |a, b, _| a.checked_div(b).unwrap_or(u64::MAX));
    check("div.s64", D, &[D, D], |a, b, _| if b == 0 { u64::MAX } else { (a as i64).wrapping_div(b as i64) as u64 });
    check("rem.u64", D, &[D, D], |a, b, _| a.checked_rem(b).unwrap_or(a));
    check("rem.s64", D, &[D, D], |a, b, _| if b == 0 { a } else { (a as i64).wrapping_rem(b as i64) as u64 });
    check("min.s64", D, &[D, D], |a, b, _| (a as i64).min(b as i64) as u64);
    check("max.u64", D, &[D, D], |a, b, _| a.max(b));
    check("abs.s64", D, &[D], |a, _, _| (a as i64).unsigned_abs());
    check("neg.s64", D, &[D], |a, _, _| a.wrapping_neg());
}
