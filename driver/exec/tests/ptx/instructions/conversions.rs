//! Conversions, and arithmetic of half precision, which they check.

use super::harness::W::{B, D, E, F, H, P};
use super::harness::{check, e, f, re, rf, s, w};

/// The nearest value of a 16-bit format, by trying all of them; ties to even.
fn nearest_half(x: f64, decode: impl Fn(u16) -> f64, infinity: u16) -> u64 {
    if x.is_nan() {
        return 0x7fff;
    }
    let sign = u64::from(x.is_sign_negative()) << 15;
    let x = x.abs();
    let below = (0..infinity).rev().find(|&h| decode(h) <= x).unwrap_or(0);
    let (low, above) = (decode(below), below + 1);
    // One step above the largest finite value stands for infinity.
    let high = if above == infinity { 2.0 * low - decode(below - 1) } else { decode(above) };
    let bits = match (x - low).total_cmp(&(high - x)) {
        std::cmp::Ordering::Less => below,
        std::cmp::Ordering::Greater => above,
        std::cmp::Ordering::Equal => below + (below & 1),
    };
    sign | u64::from(bits)
}

fn half(h: u16) -> f64 {
    let (exponent, fraction) = (i32::from(h >> 10 & 31), f64::from(h & 1023));
    let x = match exponent {
        0 => fraction * 2f64.powi(-24),
        31 if h & 1023 == 0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (1.0 + fraction / 1024.0) * 2f64.powi(exponent - 15),
    };
    if h >> 15 != 0 { -x } else { x }
}

fn bhalf(h: u16) -> f64 {
    f64::from(f32::from_bits(u32::from(h) << 16))
}

fn to_f16(x: f64) -> u64 {
    nearest_half(x, half, 0x7c00)
}

fn to_bf16(x: f64) -> u64 {
    nearest_half(x, bhalf, 0x7f80)
}

#[test]
fn halves() {
    check("cvt.rn.f16.f32", H, &[F], |a, _, _| to_f16(f64::from(f(a))));
    check("cvt.rn.bf16.f32", H, &[F], |a, _, _| to_bf16(f64::from(f(a))));
    check("cvt.f32.f16", F, &[H], |a, _, _| rf(half(a as u16) as f32));
    check("cvt.f32.bf16", F, &[H], |a, _, _| (a & 0xffff) << 16);
    check("cvt.rn.bf16x2.f32", B, &[F, F], |a, b, _| to_bf16(f64::from(f(a))) << 16 | to_bf16(f64::from(f(b))));
    check("cvt.rn.f16x2.f32", B, &[F, F], |a, b, _| to_f16(f64::from(f(a))) << 16 | to_f16(f64::from(f(b))));
    check("add.f16", H, &[H, H], |a, b, _| to_f16(half(a as u16) + half(b as u16)));
    check("mul.rn.f16", H, &[H, H], |a, b, _| to_f16(half(a as u16) * half(b as u16)));
    check("mul.bf16", H, &[H, H], |a, b, _| to_bf16(bhalf(a as u16) * bhalf(b as u16)));
    check("add.f16x2", B, &[B, B], |a, b, _| {
        to_f16(half((a >> 16) as u16) + half((b >> 16) as u16)) << 16 | to_f16(half(a as u16) + half(b as u16))
    });
    check("neg.bf16", H, &[H], |a, _, _| if bhalf(a as u16).is_nan() { 0x7fff } else { (a ^ 0x8000) & 0xffff });
    check("setp.lt.f16", P, &[H, H], |a, b, _| u64::from(half(a as u16) < half(b as u16)));
    check("setp.gt.bf16", P, &[H, H], |a, b, _| u64::from(bhalf(a as u16) > bhalf(b as u16)));
}

#[test]
fn conversions() {
    check("cvt.u32.u16", B, &[H], |a, _, _| a & 0xffff);
    check("cvt.s32.s16", B, &[H], |a, _, _| w(a as i16 as u64));
    check("cvt.s64.s32", D, &[B], |a, _, _| s(a) as u64);
    check("cvt.u64.u32", D, &[B], |a, _, _| w(a));
    check("cvt.u32.u64", B, &[D], |a, _, _| w(a));
    check("cvt.u16.u32", H, &[B], |a, _, _| a & 0xffff);
    check("cvt.s8.s32", B, &[B], |a, _, _| w(a as i8 as u64));
    check("cvt.u8.u32", B, &[B], |a, _, _| a & 0xff);
    check("cvt.sat.u8.s32", B, &[B], |a, _, _| s(a).clamp(0, 255) as u64);
    check("cvt.sat.s16.s32", B, &[B], |a, _, _| w(s(a).clamp(-32768, 32767) as u64));
    check("cvt.sat.s32.s64", B, &[D], |a, _, _| w((a as i64).clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as u64));
    check("cvt.rn.f32.s32", F, &[B], |a, _, _| rf(s(a) as f32));
    check("cvt.rn.f32.u32", F, &[B], |a, _, _| rf(w(a) as f32));
    check("cvt.rn.f32.u64", F, &[D], |a, _, _| rf(a as f32));
    check("cvt.rn.f32.s64", F, &[D], |a, _, _| rf(a as i64 as f32));
    check("cvt.rn.f64.s32", E, &[B], |a, _, _| re(s(a) as f64));
    check("cvt.rn.f64.u64", E, &[D], |a, _, _| re(a as f64));
    check("cvt.rzi.s32.f32", B, &[F], |a, _, _| w(f(a) as i32 as u64));
    check("cvt.rni.s32.f32", B, &[F], |a, _, _| w(f(a).round_ties_even() as i32 as u64));
    check("cvt.rmi.s32.f32", B, &[F], |a, _, _| w(f(a).floor() as i32 as u64));
    check("cvt.rpi.u32.f32", B, &[F], |a, _, _| u64::from(f(a).ceil() as u32));
    check("cvt.rzi.u64.f64", D, &[E], |a, _, _| if e(a).is_nan() { 1 << 63 } else { e(a) as u64 });
    check("cvt.rzi.s64.f32", D, &[F], |a, _, _| if f(a).is_nan() { 1 << 63 } else { f(a) as i64 as u64 });
    check("cvt.rzi.s32.f64", B, &[E], |a, _, _| if e(a).is_nan() { 1 << 31 } else { w(e(a) as i32 as u64) });
    check("cvt.f64.f32", E, &[F], |a, _, _| {
        let nan = (a >> 31 & 1) << 63 | 0x7ff8_0000_0000_0000 | (a & 0x7f_ffff) << 29;
        if f(a).is_nan() { nan } else { re(f64::from(f(a))) }
    });
    check("cvt.rn.f32.f64", F, &[E], |a, _, _| {
        let nan = (a >> 63) << 31 | 0x7fc0_0000 | (a >> 29 & 0x7f_ffff);
        if e(a).is_nan() { nan } else { rf(e(a) as f32) }
    });
    check("cvt.rni.f32.f32", F, &[F], |a, _, _| rf(f(a).round_ties_even()));
    check("cvt.rzi.f32.f32", F, &[F], |a, _, _| rf(f(a).trunc()));
    check("cvt.sat.f32.f32", F, &[F], |a, _, _| rf(if f(a) > 0.0 { f(a).min(1.0) } else { 0.0 }));
    check("cvt.rn.f16.f64", H, &[E], |a, _, _| {
        let nan = (a >> 63) << 15 | 0x7e00 | (a >> 42 & 0x3ff);
        if e(a).is_nan() { nan } else { to_f16(e(a)) }
    });
}
