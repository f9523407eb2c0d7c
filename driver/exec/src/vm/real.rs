//! `f32` and `f64` arithmetic.

use super::map::define;
use super::math;
use super::rounding::{
    self as round, FTZ, KEEP_NAN, NEAREST, RELU, ROUNDING, XORSIGN, canonical, canonical64, flush, propagated, saturate,
};

/// `min`: a NaN loses against a number, and -0 is less than +0.
#[inline(always)]
fn min32(a: f32, b: f32) -> f32 {
    let less = a < b || (a == b && a.is_sign_negative());
    if a.is_nan() {
        canonical(b)
    } else if b.is_nan() || less {
        a
    } else {
        b
    }
}

#[inline(always)]
fn max32(a: f32, b: f32) -> f32 {
    let more = a > b || (a == b && a.is_sign_positive());
    if a.is_nan() {
        canonical(b)
    } else if b.is_nan() || more {
        a
    } else {
        b
    }
}

fn min64(a: f64, b: f64) -> f64 {
    if a.is_nan() {
        canonical64(b)
    } else if b.is_nan() || a < b || (a == b && a.is_sign_negative()) {
        a
    } else {
        b
    }
}

fn max64(a: f64, b: f64) -> f64 {
    if a.is_nan() {
        canonical64(b)
    } else if b.is_nan() || a > b || (a == b && a.is_sign_positive()) {
        a
    } else {
        b
    }
}

fn extreme32(a: f32, b: f32, mode: u32, f: fn(f32, f32) -> f32) -> f32 {
    let (a, b) = (flush(a, mode), flush(b, mode));
    if mode & XORSIGN != 0 {
        let sign = (a.to_bits() ^ b.to_bits()) & 0x8000_0000;
        let r = extreme32(a.abs(), b.abs(), mode & !XORSIGN, f);
        return if r.is_nan() { r } else { f32::from_bits(r.to_bits() | sign) };
    }
    if mode & KEEP_NAN != 0 && (a.is_nan() || b.is_nan()) { f32::from_bits(round::NAN32) } else { f(a, b) }
}

/// Result of a full instruction: flushed, saturated, NaN canonical.
fn finish(x: f32, mode: u32) -> f32 {
    canonical(saturate(flush(x, mode), mode))
}

fn with2(a: f32, b: f32, mode: u32, near: fn(f32, f32) -> f32, other: fn(f32, f32, u32) -> f32) -> f32 {
    let (a, b) = (flush(a, mode), flush(b, mode));
    finish(if is_plain(mode) { near(a, b) } else { other(a, b, mode) }, mode)
}

/// Whether the host's own rounding is the instruction's: what is flushed depends on more than the result.
fn is_plain(mode: u32) -> bool {
    mode & (ROUNDING | FTZ) == NEAREST
}

fn fused(a: f32, b: f32, c: f32, mode: u32) -> f32 {
    let (a, b, c) = (flush(a, mode), flush(b, mode), flush(c, mode));
    let r = if is_plain(mode) { a.mul_add(b, c) } else { round::fma32(a, b, c, mode) };
    let r = finish(r, mode);
    if mode & RELU != 0 && r <= 0.0 { 0.0 } else { r }
}

/// A NaN that signals becomes quiet.
fn quiet(x: f64) -> f64 {
    if x.is_nan() { f64::from_bits(x.to_bits() | 1 << 51) } else { x }
}

/// `testp`, by mode: 0 finite, 1 infinite, 2 number, 3 notanumber, 4 normal, 5 subnormal.
fn test(class: std::num::FpCategory, mode: u32) -> bool {
    use std::num::FpCategory::{Infinite, Nan, Normal, Subnormal, Zero};
    match mode {
        0 => matches!(class, Zero | Normal | Subnormal),
        1 => class == Infinite,
        2 => class != Nan,
        3 => class == Nan,
        // PTX ISA, `testp`: zeros count as normal.
        4 => matches!(class, Normal | Zero),
        _ => class == Subnormal,
    }
}

define! {
    Add32(a: f32, b: f32) -> f32 = canonical(a + b);
    Sub32(a: f32, b: f32) -> f32 = canonical(a - b);
    Mul32(a: f32, b: f32) -> f32 = canonical(a * b);
    Fma32(a: f32, b: f32, c: f32) -> f32 = canonical(a.mul_add(b, c));
    Min32(a: f32, b: f32) -> f32 = min32(a, b);
    Max32(a: f32, b: f32) -> f32 = max32(a, b);
    Neg32(a: f32) -> f32 = canonical(f32::from_bits(a.to_bits() ^ 0x8000_0000));
    Abs32(a: f32) -> f32 = canonical(f32::from_bits(a.to_bits() & 0x7fff_ffff));
    AddMode32(a: f32, b: f32; mode) -> f32 = with2(a, b, mode, |a, b| a + b, round::add32);
    SubMode32(a: f32, b: f32; mode) -> f32 = with2(a, b, mode, |a, b| a - b, |a, b, m| round::add32(a, -b, m));
    MulMode32(a: f32, b: f32; mode) -> f32 = with2(a, b, mode, |a, b| a * b, round::mul32);
    FmaMode32(a: f32, b: f32, c: f32; mode) -> f32 = fused(a, b, c, mode);
    /// `div.approx.f32`: the product with an approximate reciprocal, which is 0 for |b| above 2^126.
    DivApprox32(a: f32, b: f32; mode) -> f32 = {
        let b = if b.is_finite() && b.abs() > 85_070_591_730_234_615_865_843_651_857_942_052_864.0 { f32::INFINITY.copysign(b) } else { b };
        if a.is_infinite() && b.is_infinite() { f32::from_bits(round::NAN32) } else { with2(a, b, mode, |a, b| a / b, round::div32) }
    };
    DivMode32(a: f32, b: f32; mode) -> f32 = with2(a, b, mode, |a, b| a / b, round::div32);
    MinMode32(a: f32, b: f32; mode) -> f32 = extreme32(a, b, mode, min32);
    MaxMode32(a: f32, b: f32; mode) -> f32 = extreme32(a, b, mode, max32);
    NegFtz32(a: f32) -> f32 = canonical(f32::from_bits(flush(a, FTZ).to_bits() ^ 0x8000_0000));
    AbsFtz32(a: f32) -> f32 = canonical(flush(a, FTZ).abs());
    Rcp32(a: f32; mode) -> f32 = with2(1.0, a, mode, |a, b| a / b, round::div32);
    Sqrt32(a: f32; mode) -> f32 = {
        let a = flush(a, mode);
        finish(if mode & ROUNDING == NEAREST { a.sqrt() } else { round::sqrt32(a, mode) }, mode)
    };
    Rsqrt32(a: f32; mode) -> f32 = finish((1.0 / f64::from(flush(a, mode)).sqrt()) as f32, mode);
    Ex2(a: f32; mode) -> f32 = finish(math::exp2(flush(a, mode)), mode);
    Lg2(a: f32; mode) -> f32 = finish(math::log2(flush(a, mode)), mode);
    Sin(a: f32; mode) -> f32 = finish(f64::from(flush(a, mode)).sin() as f32, mode);
    Cos(a: f32; mode) -> f32 = finish(f64::from(flush(a, mode)).cos() as f32, mode);
    Tanh(a: f32; mode) -> f32 = finish(f64::from(flush(a, mode)).tanh() as f32, mode);
    Copysign32(a: u32, b: u32) -> u32 = (a & 0x8000_0000) | (b & 0x7fff_ffff);
    Testp32(a: f32; mode) -> u32 = u32::from(test(a.classify(), mode));

    Add64(a: f64, b: f64; mode) -> f64 = propagated(if mode == 0 { a + b } else { round::add64(a, b, mode) }, &[b, a]);
    Sub64(a: f64, b: f64; mode) -> f64 = propagated(if mode == 0 { a - b } else { round::add64(a, -b, mode) }, &[b, a]);
    Mul64(a: f64, b: f64; mode) -> f64 = propagated(if mode == 0 { a * b } else { round::mul64(a, b, mode) }, &[b, a]);
    Fma64(a: f64, b: f64, c: f64; mode) -> f64 =
        propagated(if mode == 0 { a.mul_add(b, c) } else { round::fma64(a, b, c, mode) }, &[b, c, a]);
    Div64(a: f64, b: f64; mode) -> f64 = propagated(if mode == 0 { a / b } else { round::div64(a, b, mode) }, &[b, a]);
    Min64(a: f64, b: f64) -> f64 = min64(a, b);
    Max64(a: f64, b: f64) -> f64 = max64(a, b);
    Neg64(a: f64) -> f64 = quiet(f64::from_bits(a.to_bits() ^ 1 << 63));
    Abs64(a: f64) -> f64 = quiet(f64::from_bits(a.to_bits() & !(1 << 63)));
    Rcp64(a: f64; mode) -> f64 = propagated(if mode == 0 { 1.0 / a } else { round::div64(1.0, a, mode) }, &[a]);
    /// `rcp.approx.ftz.f64`: the low word of operand and result is zero.
    RcpApprox64(a: f64) -> f64 = math::coarse64(a, |x| 1.0 / x);
    RsqrtApprox64(a: f64) -> f64 = math::coarse64(a, |x| 1.0 / x.sqrt());
    Rsqrt64(a: f64) -> f64 = propagated(1.0 / a.sqrt(), &[a]);
    Sqrt64(a: f64; mode) -> f64 = propagated(if mode == 0 { a.sqrt() } else { round::sqrt64(a, mode) }, &[a]);
    Copysign64(a: u64, b: u64) -> u64 = (a & 1 << 63) | (b & !(1 << 63));
    Testp64(a: f64; mode) -> u32 = u32::from(test(a.classify(), mode));
}
