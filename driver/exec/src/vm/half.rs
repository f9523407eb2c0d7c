//! `f16` and `bf16` arithmetic: computed in double precision, rounded once.

use std::marker::PhantomData;

use super::lane::{BF16, F16, Lane, Two};
use super::map::{F1, F2, F3};
use super::math;
use super::rounding::{FTZ, KEEP_NAN, NEAREST, RELU, XORSIGN, flush, is_tiny, saturate64, to_format, to_odd, two_sum};

/// A 16-bit floating-point format.
pub(crate) trait Half: Lane + Copy {
    fn value(self) -> f64;
    /// From a value that is exact or rounded to odd.
    fn round(x: f64, mode: u32) -> Self;
    fn bits(self) -> u16;
    fn from_raw(bits: u16) -> Self;
    const NAN: u16 = 0x7fff;
    /// Smallest normal value.
    const LEAST: f64;
    /// Bits of a normal value behind its sign and exponent, and the one before them.
    const DIGITS: i32;
}

impl Half for F16 {
    const LEAST: f64 = 6.103_515_625e-5;
    const DIGITS: i32 = 11;
    #[inline(always)]
    fn value(self) -> f64 {
        let (sign, e, m) = (self.0 >> 15, u32::from(self.0 >> 10 & 31), u32::from(self.0 & 1023));
        let magnitude = match e {
            0 => f64::from(m) * f64::from_bits((1023 - 24) << 52),
            31 if m == 0 => f64::INFINITY,
            31 => f64::NAN,
            _ => f64::from_bits(u64::from(e + 1023 - 15) << 52 | u64::from(m) << 42),
        };
        if sign != 0 { -magnitude } else { magnitude }
    }
    fn round(x: f64, mode: u32) -> Self {
        if x.is_nan() {
            return F16(Self::NAN);
        }
        F16(to_format(x, 10, -14, mode) as u16 | u16::from(x.is_sign_negative()) << 15)
    }
    fn bits(self) -> u16 {
        self.0
    }
    fn from_raw(bits: u16) -> Self {
        F16(bits)
    }
}

impl Half for BF16 {
    const LEAST: f64 = 1.175_494_350_822_287_5e-38;
    const DIGITS: i32 = 8;
    #[inline(always)]
    fn value(self) -> f64 {
        f64::from(f32::from_bits(u32::from(self.0) << 16))
    }
    fn round(x: f64, mode: u32) -> Self {
        if x.is_nan() {
            return BF16(Self::NAN);
        }
        BF16(to_format(x, 7, -126, mode) as u16 | u16::from(x.is_sign_negative()) << 15)
    }
    fn bits(self) -> u16 {
        self.0
    }
    fn from_raw(bits: u16) -> Self {
        BF16(bits)
    }
}

/// A single as bf16, to nearest even: the form that kernels use most.
#[inline(always)]
pub(crate) fn bf16_of(x: f32) -> BF16 {
    let bits = x.to_bits();
    let rounded = (bits.wrapping_add(0x7fff + (bits >> 16 & 1)) >> 16) as u16;
    BF16(if x.is_nan() { BF16::NAN } else { rounded })
}

pub(crate) fn flushed<H: Half>(h: H, mode: u32) -> f64 {
    let v = h.value();
    if mode & FTZ != 0 && v.abs() < H::LEAST { 0.0f64.copysign(v) } else { v }
}

fn finish<H: Half>(x: f64, mode: u32) -> H {
    let r = H::round(saturate64(x, mode), 0);
    let v = r.value();
    if mode & RELU != 0 && v <= 0.0 {
        return H::from_raw(0);
    }
    if mode & RELU != 0 && v.is_nan() {
        return H::from_raw(H::NAN);
    }
    let tiny = mode & FTZ != 0 && is_tiny(x, H::LEAST, H::DIGITS, NEAREST);
    if tiny { H::from_raw(r.bits() & 0x8000) } else { r }
}

/// The binary operations, by number (the instruction's mode from bit 8).
pub(crate) const ADD: u32 = 0;
pub(crate) const SUB: u32 = 1 << 8;
pub(crate) const MUL: u32 = 2 << 8;
pub(crate) const MIN: u32 = 3 << 8;
pub(crate) const MAX: u32 = 4 << 8;
/// The unary ones.
pub(crate) const NEG: u32 = 0;
pub(crate) const ABS: u32 = 1 << 8;
pub(crate) const EX2: u32 = 2 << 8;
pub(crate) const TANH: u32 = 3 << 8;

fn binary<H: Half>(a: H, b: H, mode: u32) -> H {
    let (x, y) = (flushed(a, mode), flushed(b, mode));
    match mode & 0xff00 {
        ADD => sum(x, y, mode),
        SUB => sum(x, -y, mode),
        MUL => finish(x * y, mode),
        kind => {
            if mode & XORSIGN != 0 {
                let sign = (a.bits() ^ b.bits()) & 0x8000;
                let r = binary(H::from_raw(a.bits() & 0x7fff), H::from_raw(b.bits() & 0x7fff), mode & !XORSIGN);
                return if r.value().is_nan() { r } else { H::from_raw(r.bits() | sign) };
            }
            if x.is_nan() || y.is_nan() {
                if mode & KEEP_NAN != 0 || (x.is_nan() && y.is_nan()) {
                    return H::from_raw(H::NAN);
                }
                return H::round(if x.is_nan() { y } else { x }, 0);
            }
            let less = x < y || (x == y && x.is_sign_negative());
            H::round(if less == (kind == MIN) { x } else { y }, 0)
        }
    }
}

fn sum<H: Half>(x: f64, y: f64, mode: u32) -> H {
    let (s, e) = two_sum(x, y);
    finish(to_odd(s, e), mode)
}

fn fma<H: Half>(a: H, b: H, c: H, mode: u32) -> H {
    sum(flushed(a, mode) * flushed(b, mode), flushed(c, mode), mode)
}

/// The bits, a subnormal's flushed if the mode says so.
fn kept<H: Half>(a: H, mode: u32) -> u16 {
    if mode & FTZ != 0 && a.value().abs() < H::LEAST { a.bits() & 0x8000 } else { a.bits() }
}

fn unary<H: Half>(a: H, mode: u32) -> H {
    match mode & 0xff00 {
        NEG | ABS if a.value().is_nan() => H::from_raw(H::NAN),
        NEG => H::from_raw(kept(a, mode) ^ 0x8000),
        ABS => H::from_raw(kept(a, mode) & 0x7fff),
        EX2 => finish(f64::from(math::exp2(flush(a.value() as f32, mode))), mode),
        _ => finish(a.value().tanh(), mode),
    }
}

macro_rules! ops {
    ($($name:ident, $packed:ident, $tr:ident, $call:ident, ($($x:ident $X:ident),+);)*) => {$(
        pub(crate) struct $name<H>(PhantomData<H>);
        impl<H: Half> $tr for $name<H> {
            $(type $X = H;)+
            type D = H;
            fn f($($x: H,)+ mode: u32) -> H { $call($($x,)+ mode) }
        }
        pub(crate) struct $packed<H>(PhantomData<H>);
        impl<H: Half> $tr for $packed<H> where Two<H>: Lane {
            $(type $X = Two<H>;)+
            type D = Two<H>;
            fn f($($x: Two<H>,)+ mode: u32) -> Two<H> {
                Two($call($($x.0,)+ mode), $call($($x.1,)+ mode))
            }
        }
    )*};
}
ops! {
    Unary, Unary2, F1, unary, (a A);
    Binary, Binary2, F2, binary, (a A, b B);
    Fma, Fma2, F3, fma, (a A, b B, c C);
}
