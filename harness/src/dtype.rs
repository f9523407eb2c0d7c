//! Element types of buffers.

use std::str::FromStr;

/// Element type of a buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DType {
    /// IEEE binary16.
    F16,
    /// bfloat16.
    Bf16,
    /// IEEE binary32.
    F32,
    /// IEEE binary64.
    F64,
    /// 8-bit floating point with 4 bits of exponent and 3 of mantissa, no infinities (OCP FP8 E4M3).
    E4m3,
    /// 8-bit floating point with 5 bits of exponent and 2 of mantissa (OCP FP8 E5M2).
    E5m2,
    /// Signed 8-bit integer.
    I8,
    /// Signed 16-bit integer.
    I16,
    /// Signed 32-bit integer.
    I32,
    /// Signed 64-bit integer.
    I64,
    /// Unsigned 8-bit integer.
    U8,
    /// Unsigned 16-bit integer.
    U16,
    /// Unsigned 32-bit integer; also bit masks.
    U32,
    /// Unsigned 64-bit integer.
    U64,
    /// One byte that is 0 or 1.
    Bool,
    /// Bytes without a meaning: an element is one of them.
    Bytes,
}

impl DType {
    /// All of them.
    pub const ALL: [DType; 16] = [
        DType::F16,
        DType::Bf16,
        DType::F32,
        DType::F64,
        DType::E4m3,
        DType::E5m2,
        DType::I8,
        DType::I16,
        DType::I32,
        DType::I64,
        DType::U8,
        DType::U16,
        DType::U32,
        DType::U64,
        DType::Bool,
        DType::Bytes,
    ];

    /// Bytes of one element.
    pub const fn size(self) -> usize {
        match self {
            DType::E4m3 | DType::E5m2 | DType::I8 | DType::U8 | DType::Bool | DType::Bytes => 1,
            DType::F16 | DType::Bf16 | DType::I16 | DType::U16 => 2,
            DType::F32 | DType::I32 | DType::U32 => 4,
            DType::F64 | DType::I64 | DType::U64 => 8,
        }
    }

    /// The name used in receipts and messages: `bf16`, `f32`, ….
    pub const fn name(self) -> &'static str {
        match self {
            DType::F16 => "f16",
            DType::Bf16 => "bf16",
            DType::F32 => "f32",
            DType::F64 => "f64",
            DType::E4m3 => "e4m3",
            DType::E5m2 => "e5m2",
            DType::I8 => "i8",
            DType::I16 => "i16",
            DType::I32 => "i32",
            DType::I64 => "i64",
            DType::U8 => "u8",
            DType::U16 => "u16",
            DType::U32 => "u32",
            DType::U64 => "u64",
            DType::Bool => "bool",
            DType::Bytes => "bytes",
        }
    }

    /// Whether its values are floating-point numbers.
    pub const fn is_float(self) -> bool {
        matches!(self, DType::F16 | DType::Bf16 | DType::F32 | DType::F64 | DType::E4m3 | DType::E5m2)
    }

    /// An element as people read it: value and bits. `bits` are those of the element, in the low end.
    pub fn text(self, bits: u64) -> String {
        let hex = format!("0x{bits:0width$x}", width = 2 * self.size());
        match self {
            DType::F16 => format!("{} ({hex})", small_float(bits as u32, 5, 10, true)),
            DType::Bf16 => format!("{} ({hex})", f32::from_bits((bits as u32) << 16)),
            DType::F32 => format!("{} ({hex})", f32::from_bits(bits as u32)),
            DType::F64 => format!("{} ({hex})", f64::from_bits(bits)),
            DType::E4m3 => format!("{} ({hex})", small_float(bits as u32, 4, 3, false)),
            DType::E5m2 => format!("{} ({hex})", small_float(bits as u32, 5, 2, true)),
            DType::I8 => format!("{} ({hex})", bits as i8),
            DType::I16 => format!("{} ({hex})", bits as i16),
            DType::I32 => format!("{} ({hex})", bits as i32),
            DType::I64 => format!("{} ({hex})", bits as i64),
            DType::Bool if bits < 2 => format!("{} ({hex})", bits == 1),
            DType::U8 | DType::U16 | DType::U32 | DType::U64 | DType::Bool | DType::Bytes => hex,
        }
    }
}

impl FromStr for DType {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        DType::ALL.into_iter().find(|dtype| dtype.name() == name).ok_or(())
    }
}

/// The value of a floating-point number of 16 bits or fewer. Where there are no infinities, only all ones
/// are NaN (OCP 8-bit Floating Point Specification, 5.2).
fn small_float(bits: u32, exponent_bits: u32, mantissa_bits: u32, infinities: bool) -> f32 {
    let mantissa = bits & ((1 << mantissa_bits) - 1);
    let exponent = bits >> mantissa_bits & ((1 << exponent_bits) - 1);
    let sign = if bits >> (mantissa_bits + exponent_bits) & 1 == 1 { -1.0 } else { 1.0 };
    let (top, bias) = ((1 << exponent_bits) - 1, (1 << (exponent_bits - 1)) - 1);
    let scale = |exponent: i32| f32::powi(2.0, exponent);
    match exponent {
        _ if exponent == top && infinities => sign * if mantissa == 0 { f32::INFINITY } else { f32::NAN },
        _ if exponent == top && mantissa == (1 << mantissa_bits) - 1 => f32::NAN,
        0 => sign * mantissa as f32 * scale(1 - bias - mantissa_bits as i32),
        _ => sign * (mantissa | 1 << mantissa_bits) as f32 * scale(exponent as i32 - bias - mantissa_bits as i32),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back_and_values_are_told() {
        for dtype in DType::ALL {
            assert_eq!(dtype.name().parse(), Ok(dtype));
            assert_eq!(serde_json::to_string(&dtype).unwrap(), format!("\"{}\"", dtype.name()));
        }
        assert_eq!("f33".parse::<DType>(), Err(()));
        assert_eq!(DType::F16.text(0x3c00), "1 (0x3c00)");
        assert_eq!(DType::F16.text(0xfc00), "-inf (0xfc00)");
        assert_eq!(DType::E4m3.text(0x7e), "448 (0x7e)");
        assert_eq!(DType::E4m3.text(0x7f), "NaN (0x7f)");
        assert_eq!(DType::E5m2.text(0x7b), "57344 (0x7b)");
        assert_eq!(DType::E5m2.text(0x01), "0.000015258789 (0x01)");
        assert_eq!(DType::I8.text(0xff), "-1 (0xff)");
        assert_eq!(DType::Bool.text(1), "true (0x01)");
        assert_eq!(DType::Bool.text(7), "0x07");
    }
}
