//! Vectors in e4m3, each with one scale, a power of two: what `to_fp8_d*` makes of bf16.

/// e4m3's largest number.
const LARGEST: f32 = 448.0;
/// Exponent of its smallest normal number.
pub(super) const LEAST_EXPONENT: i32 = -6;
/// Bits of its fraction.
const FRACTION: i32 = 3;
/// No vector counts as smaller than this.
const SMALLEST_MAXIMUM: f32 = 1e-4;

fn power(e: i32) -> f32 {
    f32::from_bits(((e + 127) as u32) << 23)
}

fn exponent(x: f32) -> i32 {
    (x.to_bits() >> 23 & 255) as i32 - 127
}

/// The value that e4m3 has for `x`: the nearest, of two the even one, and the largest for all beyond it.
pub fn round(x: f32) -> f32 {
    if x.is_nan() {
        return x;
    }
    let magnitude = x.abs().min(LARGEST);
    let unit = power(exponent(magnitude).max(LEAST_EXPONENT) - FRACTION);
    ((magnitude / unit).round_ties_even() * unit).copysign(x)
}

/// The smallest power of two that keeps `largest` within e4m3's numbers; infinity counts as the largest finite one.
fn scale(largest: f32) -> f32 {
    let largest = largest.clamp(SMALLEST_MAXIMUM, f32::MAX);
    // 448 is 1.75 * 2^8.
    let e = exponent(largest);
    let above = largest / power(e) > 1.75;
    power(e - 8 + i32::from(above))
}

/// Vectors of `d` elements in e4m3, as the values they stand for, and the scale of each.
pub fn quantise(values: &[f32], d: usize) -> (Vec<f32>, Vec<f32>) {
    let scales: Vec<f32> =
        values.chunks(d).map(|vector| scale(vector.iter().fold(0.0, |most: f32, x| most.max(x.abs())))).collect();
    let rounded =
        values.chunks(d).zip(&scales).flat_map(|(vector, scale)| vector.iter().map(move |x| round(x / scale)));
    (rounded.collect(), scales)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_e4m3_stay_and_others_go_to_the_nearest() {
        for bits in 0..0x7fu32 {
            let (e, m) = (bits >> 3, (bits & 7) as f32);
            let value = if e == 0 { m / 512.0 } else { (1.0 + m / 8.0) * power(e as i32 - 7) };
            assert_eq!((round(value), round(-value)), (value, -value));
        }
        assert_eq!(
            [1.0625, 1.1875, 1.07, 17.0, 500.0, f32::INFINITY].map(round),
            [1.0, 1.25, 1.125, 16.0, 448.0, 448.0]
        );
        assert_eq!([0.0009, 0.001, 0.003].map(round), [0.0, 1.0 / 512.0, 1.0 / 256.0]);
        assert!(round(f32::NAN).is_nan());
    }

    #[test]
    fn a_scale_is_the_smallest_power_of_two_that_suffices() {
        assert_eq!([448.0, 448.5, 224.0, 1.0, 256.0].map(scale), [1.0, 2.0, 0.5, power(-8), 1.0]);
        assert_eq!([0.0, 1e-4, 1e-30].map(scale), [power(-22); 3]);
        assert_eq!([f32::MAX, f32::INFINITY].map(scale), [power(120); 2]);
        for bits in (0..0x7f80u32).step_by(7) {
            let largest = f32::from_bits(bits << 16);
            let scale = scale(largest);
            assert!(largest / scale <= LARGEST, "{largest}");
            assert!(largest < SMALLEST_MAXIMUM || largest / (scale / 2.0) > LARGEST, "{largest}");
        }
    }

    #[test]
    fn each_vector_has_its_own_scale() {
        let (values, scales) = quantise(&[1.0, -2.0, 1000.0, 1.0, 0.0, 0.0], 2);
        assert_eq!(scales, [power(-7), 4.0, power(-22)]);
        assert_eq!(values, [128.0, -256.0, 256.0, 0.25, 0.0, 0.0]);
    }
}
