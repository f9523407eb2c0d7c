//! Scores as Hopper's tensor cores and the lanes on `wgmma` make them, bit for bit.
//!
//! A dot takes 32 bytes of both vectors at once. Products are exact; they and the sum so far are cut (towards zero)
//! at `kept` bits behind the point of the largest of their exponents and added exactly, and the result is cut to what
//! the accumulator has: measured on an H200, where no sum of many thousands differed.

use super::fp8;

/// What the factors of a product are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Factor {
    /// bfloat16.
    Bf16,
    /// e4m3, each vector with a scale.
    E4m3,
}

impl Factor {
    /// Elements taken at once.
    fn depth(self) -> usize {
        if self == Factor::Bf16 { 16 } else { 32 }
    }

    /// Bits that a product keeps behind the point.
    fn kept(self) -> i32 {
        if self == Factor::Bf16 { 25 } else { 13 }
    }

    /// Bits that a sum keeps behind its point.
    fn fraction(self) -> i32 {
        if self == Factor::Bf16 { 23 } else { 13 }
    }

    /// Exponent of the smallest normal number.
    fn least(self) -> i32 {
        if self == Factor::Bf16 { f32::MIN_EXP - 1 } else { fp8::LEAST_EXPONENT }
    }
}

/// Below every other exponent: that of zero.
const NO_EXPONENT: i32 = -4096;

#[derive(Debug, Clone, Copy)]
struct Element {
    value: f64,
    exponent: i32,
}

/// Of a finite number that is not zero: the exponent of its first bit, `least` or more.
fn exponent(value: f64, least: i32) -> i32 {
    // A single, subnormal or not, is normal in double precision.
    let biased = (value.to_bits() >> 52 & 0x7ff) as i32;
    (biased - 1023).max(least)
}

fn element(value: f32, factor: Factor) -> Element {
    let value = f64::from(value);
    let exponent = if value == 0.0 { NO_EXPONENT } else { exponent(value, factor.least()) };
    Element { value, exponent }
}

/// 2^e, for a number that is normal in double precision.
fn power(e: i32) -> f64 {
    f64::from_bits(((e + 1023) as u64) << 52)
}

/// Cuts to `fraction` bits behind the first one, and as singles are cut where those are subnormal.
fn cut(sum: f64, fraction: i32) -> f32 {
    if sum == 0.0 || !sum.is_finite() {
        return sum as f32;
    }
    let unit = power(exponent(sum, f32::MIN_EXP - 1) - fraction);
    ((sum / unit).trunc() * unit) as f32
}

fn dot(a: &[Element], b: &[Element], factor: Factor) -> f32 {
    let depth = factor.depth();
    let mut sum = 0.0f32;
    for (a, b) in a.chunks(depth).zip(b.chunks(depth)) {
        let products = || a.iter().zip(b).map(|(a, b)| (a.value * b.value, a.exponent + b.exponent));
        let old = f64::from(sum);
        if !old.is_finite() || products().any(|(product, _)| !product.is_finite()) {
            sum = cut(products().fold(old, |sum, (product, _)| sum + product), factor.fraction());
            continue;
        }
        let own = if old == 0.0 { NO_EXPONENT } else { exponent(old, f32::MIN_EXP - 1) };
        let top = products().fold(own, |top, (_, exponent)| top.max(exponent));
        if top <= NO_EXPONENT / 2 {
            continue; // nothing but zeros
        }
        let unit = power(top - factor.kept());
        let total = products().fold((old / unit).trunc(), |total, (product, _)| total + (product / unit).trunc());
        sum = cut(total * unit, factor.fraction());
    }
    sum
}

/// Queries, keys and weights as the lanes on `wgmma` use them.
pub(super) struct Operands {
    factor: Factor,
    d: usize,
    q: Vec<Element>,
    k: Vec<Element>,
    /// With the queries' scales.
    w: Vec<f32>,
    /// One for each key, or nothing.
    scales: Vec<f32>,
}

impl Operands {
    /// From vectors of `d` elements; `w` has one for each of q.
    pub fn new(factor: Factor, d: usize, q: &[f32], k: &[f32], w: &[f32]) -> Self {
        let elements = |values: &[f32]| values.iter().map(|&value| element(value, factor)).collect();
        match factor {
            Factor::Bf16 => Operands { factor, d, q: elements(q), k: elements(k), w: w.to_vec(), scales: Vec::new() },
            Factor::E4m3 => {
                let ((q, q_scales), (k, scales)) = (fp8::quantise(q, d), fp8::quantise(k, d));
                let w = w.iter().zip(&q_scales).map(|(w, scale)| w * scale).collect();
                Operands { factor, d, q: elements(&q), k: elements(&k), w, scales }
            }
        }
    }

    /// The score of the `h` heads from vector `first` of q on with vector `key` of k. A quad has the heads
    /// 8j + 2l and 8j + 2l + 1 in lane l, of 64, and adds its lanes up in pairs.
    pub fn score(&self, first: usize, h: usize, key: usize) -> f32 {
        let Operands { factor, d, q, k, w, scales } = self;
        let k = &k[key * d..][..*d];
        let mut lanes = [0.0f32; 4];
        for head in 0..64 {
            let (dot, weight) = match head < h {
                true => (dot(&q[(first + head) * d..][..*d], k, *factor), w[first + head]),
                false => (0.0, 0.0),
            };
            let relu = if dot > 0.0 { dot } else { 0.0 };
            let sum = &mut lanes[head % 8 / 2];
            *sum = weight.mul_add(relu, *sum);
        }
        let sum = (lanes[0] + lanes[2]) + (lanes[1] + lanes[3]);
        scales.get(key).map_or(sum, |scale| sum * scale)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dot_of(a: &[f32], b: &[f32], factor: Factor) -> f32 {
        let elements = |values: &[f32]| values.iter().map(|&x| element(x, factor)).collect::<Vec<_>>();
        dot(&elements(a), &elements(b), factor)
    }

    #[test]
    fn whole_numbers_are_added_exactly() {
        let (a, b): (Vec<f32>, Vec<f32>) = (0..64).map(|i| ((i % 5) as f32 - 2.0, (i % 7) as f32 - 3.0)).unzip();
        let exact: f32 = a.iter().zip(&b).map(|(a, b)| a * b).sum();
        assert_eq!(dot_of(&a, &b, Factor::Bf16), exact);
        assert_eq!(dot_of(&a, &b, Factor::E4m3), exact);
        assert_eq!(dot_of(&[0.0; 64], &b, Factor::E4m3), 0.0);
    }

    #[test]
    fn what_lies_too_far_behind_the_largest_product_is_cut_off() {
        // 2^14 + 1, of which e4m3 keeps 13 bits behind the point of 2^14: the 1 is two of the last; a half is cut.
        let mut a = [0.0f32; 32];
        (a[0], a[1]) = (128.0, 1.0);
        let mut b = a;
        assert_eq!(dot_of(&a, &b, Factor::E4m3), 16_384.0);
        b[1] = 2.0;
        assert_eq!(dot_of(&a, &b, Factor::E4m3), 16_386.0);
        // Towards zero, and in the next step again.
        b[1] = -1.0;
        assert_eq!(dot_of(&a, &b, Factor::E4m3), 16_384.0);
        assert_eq!(dot_of(&a, &b, Factor::Bf16), 16_383.0);
    }

    #[test]
    fn infinities_and_no_numbers_stay_what_they_are() {
        let mut a = [1.0f32; 16];
        a[3] = f32::INFINITY;
        assert_eq!(dot_of(&a, &[2.0; 16], Factor::Bf16), f32::INFINITY);
        a[4] = f32::NAN;
        assert!(dot_of(&a, &[2.0; 16], Factor::Bf16).is_nan());
    }
}
