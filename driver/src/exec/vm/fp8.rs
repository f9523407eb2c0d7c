//! The 8-bit floating-point formats e4m3 and e5m2.

use super::half::Half;
use super::lane::F16;

/// An 8-bit format.
pub(crate) trait Small {
    /// The value of these bits.
    fn value(bits: u8) -> f32;
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
}

impl Small for E5M2 {
    #[inline(always)]
    fn value(bits: u8) -> f32 {
        F16(u16::from(bits) << 8).value() as f32
    }
}
