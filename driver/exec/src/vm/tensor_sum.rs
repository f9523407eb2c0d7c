//! How the tensor core of an H200 adds up the products of `wgmma`.
//!
//! M (H200, driver 580.159.04; `tests/clients/hopper/probe.py`, 258,048 random sums of every type, and none that differs):
//! products are exact, with the sum of the exponents as theirs. They and the old sum are cut (towards zero) at 25 bits behind
//! the point of the largest exponent among them, those of 8-bit types at 13 bits, and added exactly. The result is cut to
//! single precision, and with 8-bit factors to 13 bits behind its point; a half-precision one is rounded to nearest instead.

use super::ctx::LANES;
use super::fragment::Multiplicand;

/// Rows of a warp, columns taken at once, and elements along `k` at most.
const ROWS: usize = LANES / 2;
const COLUMNS: usize = 8;
const DEEP: usize = 32;
/// The exponent of zero, below every sum of two others.
const NONE: i32 = -4096;

/// Elements as whole numbers times powers of two: `mantissa * 2^(exponent - fraction)`.
pub(crate) struct Elements<const N: usize> {
    pub mantissa: [i32; N],
    pub exponent: [i32; N],
    /// Some are infinite or no number.
    pub special: bool,
}

/// Bits of exponent and fraction, and the bias.
fn format(ty: Multiplicand) -> (u32, u32, i32) {
    match ty {
        Multiplicand::F16 => (5, 10, 15),
        Multiplicand::BF16 => (8, 7, 127),
        Multiplicand::E4M3 => (4, 3, 7),
        Multiplicand::E5M2 => (5, 2, 15),
        // tf32: the upper 19 bits of a single.
        _ => (8, 10, 127),
    }
}

/// Bits of an element's fraction.
fn fraction(ty: Multiplicand) -> u32 {
    format(ty).1
}

impl<const N: usize> Elements<N> {
    pub fn new() -> Self {
        Self { mantissa: [0; N], exponent: [NONE; N], special: false }
    }

    /// Sets element `n` from its bits.
    #[inline(always)]
    pub fn set(&mut self, n: usize, ty: Multiplicand, bits: u32) {
        let (exponents, fractions, bias) = format(ty);
        let (full, part) = ((1 << exponents) - 1, bits & ((1 << fractions) - 1));
        let e = bits >> fractions & full;
        let mantissa = (part | u32::from(e != 0) << fractions) as i32;
        self.mantissa[n] = if bits >> (exponents + fractions) & 1 != 0 { -mantissa } else { mantissa };
        self.exponent[n] = if mantissa == 0 { NONE } else { e.max(1) as i32 - bias };
        self.special |= if ty == Multiplicand::E4M3 { e == full && part == 7 } else { e == full };
    }

    /// Element `n` in single precision.
    fn single(&self, n: usize, ty: Multiplicand) -> f32 {
        let (exponents, fractions, bias) = format(ty);
        let (mantissa, exponent) = (self.mantissa[n], self.exponent[n]);
        let full = (1 << exponents) - 1 - bias;
        let whole = mantissa.unsigned_abs() as i32;
        let infinite = exponent == full && (ty != Multiplicand::E4M3 || whole == 15);
        let magnitude = match (exponent, infinite) {
            (NONE, _) => 0.0,
            (_, true) if whole == 1 << fractions && ty != Multiplicand::E4M3 => f32::INFINITY,
            (_, true) => f32::NAN,
            _ => (f64::from(whole) * power(exponent - fractions as i32)) as f32,
        };
        if mantissa < 0 { -magnitude } else { magnitude }
    }
}

/// 2 to the power of `e`, for normal numbers in double precision.
#[inline(always)]
fn power(e: i32) -> f64 {
    f64::from_bits(((e + 1023) as u64) << 52)
}

/// Sums of products of rows of `a` (row by row, `depth` long) with eight columns `b` (`k` by `k`) and of the old sums: what
/// they come to before the last rounding.
#[inline(always)]
pub(crate) fn add(
    types: (Multiplicand, Multiplicand),
    depth: usize,
    a: &Elements<{ ROWS * DEEP }>,
    b: &Elements<{ COLUMNS * DEEP }>,
    sums: &[[f32; COLUMNS]; ROWS],
) -> [[f64; COLUMNS]; ROWS] {
    let small = types.0.bits() == 8;
    // Bits behind the point of the largest exponent.
    let kept: u32 = if small { 13 } else { 25 };
    let base = kept - fraction(types.0) - fraction(types.1);
    let mut found = [[0f64; COLUMNS]; ROWS];
    let mut finite = true;
    for row in 0..ROWS {
        for n in 0..COLUMNS {
            finite &= sums[row][n].to_bits() & 0x7f80_0000 != 0x7f80_0000;
        }
    }
    if a.special || b.special || !finite {
        plain(types, depth, a, b, sums, &mut found);
        return found;
    }
    let mut any = 0;
    for n in 0..COLUMNS * DEEP {
        any |= b.mantissa[n];
    }
    if any == 0 {
        for row in 0..ROWS {
            for n in 0..COLUMNS {
                // A sum of -0 becomes 0, as anywhere else.
                found[row][n] = f64::from(sums[row][n]) + 0.0;
            }
        }
        return found;
    }
    for row in 0..ROWS {
        let (mut old, mut old_exponent) = ([0i32; COLUMNS], [NONE; COLUMNS]);
        for n in 0..COLUMNS {
            let bits = sums[row][n].to_bits();
            let e = (bits >> 23 & 255) as i32;
            let mantissa = (bits & 0x7f_ffff) as i32 | i32::from(e != 0) << 23;
            old[n] = if bits >> 31 != 0 { -mantissa } else { mantissa };
            old_exponent[n] = if mantissa == 0 { NONE } else { e.max(1) - 127 };
        }
        let mut top = old_exponent;
        for k in 0..depth {
            let e = a.exponent[row * depth + k];
            for n in 0..COLUMNS {
                top[n] = top[n].max(e.wrapping_add(b.exponent[COLUMNS * k + n]));
            }
        }
        let mut all = [0i64; COLUMNS];
        for n in 0..COLUMNS {
            let by = (top[n] - old_exponent[n]).min(31) as u32;
            let magnitude = old[n].unsigned_abs();
            // 23 bits behind the point.
            let cut = if small { magnitude >> 10 } else { magnitude << 2 } >> by;
            all[n] = if old[n] < 0 { -i64::from(cut) } else { i64::from(cut) };
        }
        // Eight products, of 27 bits each, fit a word.
        for first in (0..depth).step_by(8) {
            let mut eight = [0i32; COLUMNS];
            for k in first..first + 8 {
                let (m, e) = (a.mantissa[row * depth + k], a.exponent[row * depth + k]);
                for n in 0..COLUMNS {
                    let product = m.wrapping_mul(b.mantissa[COLUMNS * k + n]);
                    let by = top[n].wrapping_sub(e).wrapping_sub(b.exponent[COLUMNS * k + n]).min(31) as u32;
                    let cut = product.unsigned_abs().wrapping_shl(base).wrapping_shr(by) as i32;
                    // All ones where it is negative product: the two's complement without a branch.
                    let sign = product >> 31;
                    eight[n] = eight[n].wrapping_add((cut ^ sign).wrapping_sub(sign));
                }
            }
            for n in 0..COLUMNS {
                all[n] += i64::from(eight[n]);
            }
        }
        for n in 0..COLUMNS {
            // Without a product or an old sum, `top` is that of nothing.
            found[row][n] = if all[n] == 0 { 0.0 } else { all[n] as f64 * power(top[n] - kept as i32) };
        }
    }
    found
}

/// The same where infinities and NaNs decide.
#[cold]
#[inline(never)]
fn plain(
    types: (Multiplicand, Multiplicand),
    depth: usize,
    a: &Elements<{ ROWS * DEEP }>,
    b: &Elements<{ COLUMNS * DEEP }>,
    sums: &[[f32; COLUMNS]; ROWS],
    found: &mut [[f64; COLUMNS]; ROWS],
) {
    for row in 0..ROWS {
        for n in 0..COLUMNS {
            let mut sum = f64::from(sums[row][n]);
            for k in 0..depth {
                let (x, y) = (a.single(row * depth + k, types.0), b.single(COLUMNS * k + n, types.1));
                sum += f64::from(x) * f64::from(y);
            }
            found[row][n] = sum;
        }
    }
}

/// A sum cut to single precision; `small`: to 13 bits behind its point.
#[inline(always)]
pub(crate) fn cut(sum: f64, small: bool) -> f32 {
    let magnitude = sum.abs();
    let bits = if magnitude < f64::from(f32::MIN_POSITIVE) {
        // Units of the smallest number.
        (magnitude * power(149)) as u32
    } else {
        // A double's fraction is 29 bits longer.
        (f64::from_bits(magnitude.to_bits() & !0x1fff_ffff) as f32).to_bits()
    };
    let bits = if small && sum.is_finite() { bits & !0x3ff } else { bits };
    f32::from_bits(bits | u32::from(sum.is_sign_negative()) << 31)
}
