//! Approximate functions.
//!
//! Hardware computes these to a few units in the last place from tables that are not
//! published; here they are evaluated in double precision with fixed operations, so that every
//! host and instruction set gives the same bits, at most one unit from the exact result.

use super::rounding::{NAN64, canonical64};

/// Coefficients of `2^x` on [-1/2, 1/2]: powers of ln 2 over factorials.
const EXP2: [f64; 10] = [
    1.0,
    std::f64::consts::LN_2,
    0.240_226_506_959_100_7,
    0.055_504_108_664_821_58,
    0.009_618_129_107_628_477,
    0.001_333_355_814_642_844_3,
    0.000_154_035_303_933_816_1,
    1.525_273_380_405_984e-5,
    1.321_548_679_014_431e-6,
    1.017_808_600_923_97e-7,
];

/// `2^x`.
#[inline(always)]
pub(crate) fn exp2(x: f32) -> f32 {
    // Beyond these the result is 0 or infinite anyway.
    let x = if x.is_nan() { return x } else { f64::from(x).clamp(-200.0, 200.0) };
    let whole = (x + 6_755_399_441_055_744.0) - 6_755_399_441_055_744.0;
    let rest = x - whole;
    let mut r = EXP2[9];
    for c in EXP2[..9].iter().rev() {
        r = r * rest + c;
    }
    (r * f64::from_bits(((1023 + whole as i64) as u64) << 52)) as f32
}

/// The base-2 logarithm.
pub(crate) fn log2(x: f32) -> f32 {
    if x.is_nan() || x < 0.0 {
        return f32::NAN;
    }
    if x == 0.0 {
        return f32::NEG_INFINITY;
    }
    if x.is_infinite() {
        return x;
    }
    let bits = f64::from(x).to_bits();
    let mut e = (bits >> 52) as i64 - 1023;
    let mut m = f64::from_bits((bits & ((1 << 52) - 1)) | 1023 << 52);
    if m > std::f64::consts::SQRT_2 {
        m *= 0.5;
        e += 1;
    }
    // log2(m) = 2/ln2 * atanh(t), t = (m-1)/(m+1), |t| < 0.172
    let t = (m - 1.0) / (m + 1.0);
    let s = t * t;
    let mut r = 0.0;
    for k in (0..12).rev() {
        r = r * s + 1.0 / f64::from(2 * k + 1);
    }
    (e as f64 + 2.0 * std::f64::consts::LOG2_E * t * r) as f32
}

/// `f` of the upper word of `x`, upper word of the result; subnormals flushed.
pub(crate) fn coarse64(x: f64, f: fn(f64) -> f64) -> f64 {
    let cut = |v: f64| {
        let v = if v.is_subnormal() { 0.0f64.copysign(v) } else { v };
        f64::from_bits(v.to_bits() & 0xffff_ffff_0000_0000)
    };
    // A NaN whose payload is in the lower word is an infinity by its upper one.
    let upper = cut(x);
    if upper.is_nan() { f64::from_bits(NAN64) } else { canonical64(cut(f(upper))) }
}
