//! Numbers as elements.

use graphproof_harness::dtype::DType;
use half::{bf16, f16};

use crate::expression::Value;

/// The bytes of `value` as an element: floating-point types round to nearest even, whole ones take what
/// fits them.
///
/// # Errors
/// A whole type and a number that it cannot hold.
pub fn encode(dtype: DType, value: Value) -> Result<Vec<u8>, String> {
    if dtype.is_float() {
        return Ok(encode_float(dtype, value.float()));
    }
    let int = match value {
        Value::Int(int) => int,
        Value::Float(float) if float.fract() == 0.0 && float.abs() < 2f64.powi(64) => float as i128,
        Value::Float(float) => return Err(format!("{float} is no {}", dtype.name())),
    };
    let bits = 8 * dtype.size() as u32;
    let (low, high) = match dtype {
        DType::I8 | DType::I16 | DType::I32 | DType::I64 => (-(1i128 << (bits - 1)), (1i128 << (bits - 1)) - 1),
        DType::Bool => (0, 1),
        _ => (0, (1i128 << bits) - 1),
    };
    if !(low..=high).contains(&int) {
        return Err(format!("{int} does not fit {}, which goes from {low} to {high}", dtype.name()));
    }
    Ok(int.to_le_bytes()[..dtype.size()].to_vec())
}

/// The bytes of a floating-point element.
pub fn encode_float(dtype: DType, value: f64) -> Vec<u8> {
    match dtype {
        DType::F16 => f16::from_f64(value).to_le_bytes().into(),
        DType::Bf16 => bf16::from_f64(value).to_le_bytes().into(),
        DType::F32 => (value as f32).to_le_bytes().into(),
        DType::E4m3 => vec![small(value, 4, 3, 0x7e, 0x7f)],
        DType::E5m2 => vec![small(value, 5, 2, 0x7c, 0x7f)],
        _ => value.to_le_bytes().into(),
    }
}

/// An 8-bit floating-point number, rounded to nearest even; `most` stands for what is beyond the largest.
fn small(value: f64, exponent_bits: i32, mantissa_bits: i32, most: u8, nan: u8) -> u8 {
    let sign = if value.is_sign_negative() { 0x80 } else { 0 };
    if value.is_nan() {
        return sign | nan;
    }
    let magnitude = value.abs();
    if magnitude.is_infinite() {
        return sign | most;
    }
    let bias = (1 << (exponent_bits - 1)) - 1;
    // The exponent of the element's last place; the smallest numbers share that of the subnormal ones.
    let exponent = if magnitude == 0.0 { 1 - bias } else { (magnitude.log2().floor() as i32).max(1 - bias) };
    let places = magnitude / 2f64.powi(exponent - mantissa_bits);
    // As a whole number of last places from 0 on, the codes of the format count up.
    let code = ((exponent + bias - 1) as f64) * f64::from(1 << mantissa_bits) + places.round_ties_even();
    sign | if code >= f64::from(most) { most } else { code as u8 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_hold_what_fits_them() {
        assert_eq!(encode(DType::I8, Value::Int(-128)), Ok(vec![0x80]));
        assert_eq!(encode(DType::U16, Value::Float(513.0)), Ok(vec![1, 2]));
        assert_eq!(encode(DType::F32, Value::Int(1)), Ok(1f32.to_le_bytes().to_vec()));
        assert_eq!(encode(DType::I8, Value::Int(128)).unwrap_err(), "128 does not fit i8, which goes from -128 to 127");
        assert_eq!(encode(DType::Bool, Value::Int(2)).unwrap_err(), "2 does not fit bool, which goes from 0 to 1");
        assert_eq!(encode(DType::U32, Value::Float(0.5)).unwrap_err(), "0.5 is no u32");
    }

    #[test]
    fn every_code_of_the_small_types_is_its_own_nearest() {
        for dtype in [DType::E4m3, DType::E5m2] {
            for code in 0..=255u8 {
                let text = dtype.text(code.into());
                let value: f64 = text.split(' ').next().unwrap().parse().unwrap();
                let back = encode_float(dtype, value)[0];
                let infinite = dtype == DType::E5m2 && code & 0x7f == 0x7c;
                assert!(back == code || value.is_nan() || infinite, "{text}: {back:#x}");
            }
        }
        // Between two codes: to even.
        assert_eq!(encode_float(DType::E4m3, 1.0625)[0], 0x38);
        assert_eq!(encode_float(DType::E4m3, 1.1875)[0], 0x3a);
        assert_eq!(encode_float(DType::E4m3, 1e9)[0], 0x7e, "there is no infinity");
        assert_eq!(encode_float(DType::E5m2, 1e9)[0], 0x7c, "infinity");
    }
}
