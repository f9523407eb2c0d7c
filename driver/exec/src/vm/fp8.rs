//! The 8-bit floating-point formats e4m3 and e5m2.

use super::half::Half;
use super::lane::{F16, Two};
use super::map::define;
use super::rounding::{NEAREST, RELU, to_format};

/// An 8-bit format.
pub(crate) trait Small {
    /// The value of these bits.
    fn value(bits: u8) -> f32;
    /// The bits of `x` (exact, or rounded to odd), rounded to nearest even; what is too large
    /// becomes the largest finite value. Mode: `.relu`.
    fn round(x: f64, mode: u32) -> u8;
}

/// Four bits of exponent, three of fraction, no infinities; all ones is the NaN.
pub(crate) struct E4M3;
/// Five bits of exponent, two of fraction.
pub(crate) struct E5M2;

impl Small for E4M3 {
    #[inline(always)]
    fn value(bits: u8) -> f32 {
        let (e, m) = (u32::from(bits >> 3 & 15), u32::from(bits & 7));
        let magnitude = match (e, m) {
            (15, 7) => f32::NAN,
            (0, _) => m as f32 * (1.0 / 512.0),
            _ => f32::from_bits((e + 120) << 23 | m << 20),
        };
        if bits >> 7 != 0 { -magnitude } else { magnitude }
    }

    fn round(x: f64, mode: u32) -> u8 {
        small(x, mode, 0x7f, 0x7e, |x| match x {
            // Where other formats have infinities, this one has another seven numbers.
            256.0.. => (0x70 + (x.min(512.0) / 32.0).round_ties_even() as u32).min(0x7e),
            _ => to_format(x, 3, -6, NEAREST),
        })
    }
}

impl Small for E5M2 {
    #[inline(always)]
    fn value(bits: u8) -> f32 {
        F16(u16::from(bits) << 8).value() as f32
    }

    fn round(x: f64, mode: u32) -> u8 {
        small(x, mode, 0x7f, 0x7b, |x| to_format(x, 2, -14, NEAREST).min(0x7b))
    }
}

fn small(x: f64, mode: u32, nan: u8, largest: u8, magnitude: impl Fn(f64) -> u32) -> u8 {
    if x.is_nan() {
        return nan;
    }
    if mode & RELU != 0 && x.is_sign_negative() {
        return 0;
    }
    let bits = if x.is_infinite() { largest } else { magnitude(x.abs()) as u8 };
    bits | u8::from(x.is_sign_negative()) << 7
}

/// Two values in one register, the first in its upper half.
fn pack<S: Small>(high: f64, low: f64, mode: u32) -> u16 {
    u16::from(S::round(high, mode)) << 8 | u16::from(S::round(low, mode))
}

fn unpack<S: Small>(bits: u16, mode: u32) -> Two<F16> {
    let half = |bits: u8| {
        let x = f64::from(S::value(bits));
        // By the bits: a compiler may take `x < 0.0 { 0.0 } else { x }` for a maximum, which loses the sign of -0.
        let below = bits & 0x80 != 0 && bits & 0x7f != 0 && !x.is_nan();
        F16::round(if mode & RELU != 0 && below { 0.0 } else { x }, NEAREST)
    };
    Two(half(bits as u8), half((bits >> 8) as u8))
}

define! {
    E4M3OfF32(a: f32, b: f32; mode) -> u16 = pack::<E4M3>(f64::from(a), f64::from(b), mode);
    E5M2OfF32(a: f32, b: f32; mode) -> u16 = pack::<E5M2>(f64::from(a), f64::from(b), mode);
    E4M3OfF16(a: Two<F16>; mode) -> u16 = pack::<E4M3>(a.1.value(), a.0.value(), mode);
    E5M2OfF16(a: Two<F16>; mode) -> u16 = pack::<E5M2>(a.1.value(), a.0.value(), mode);
    F16OfE4M3(a: u16; mode) -> Two<F16> = unpack::<E4M3>(a, mode);
    F16OfE5M2(a: u16; mode) -> Two<F16> = unpack::<E5M2>(a, mode);
}
