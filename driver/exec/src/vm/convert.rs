//! `cvt`.
//!
//! The hot conversions have operations of their own; every other pair goes through one exact
//! value, with source and destination types in the instruction's mode.

use std::marker::PhantomData;

use super::half::{Half, bf16_of};
use super::lane::{BF16, F16, Lane, Two};
use super::map::{F1, define};
use super::rounding::{
    DOWN, FTZ, NAN32, NAN64, NEAREST, NEAREST_AWAY, RELU, ROUNDING, SAT, SATFINITE, UP, ZERO, canonical, canonical64,
    flush, narrow, saturate64, to_odd,
};
use crate::ptx::Type;

/// Mode bit: round to an integral value (`.rni` and so on).
pub(crate) const INTEGRAL: u32 = 128;

/// Types in the mode's bits 8.. (destination) and 16.. (source).
const TYPES: [Type; 12] = [
    Type::U8,
    Type::S8,
    Type::U16,
    Type::S16,
    Type::U32,
    Type::S32,
    Type::U64,
    Type::S64,
    Type::F16,
    Type::BF16,
    Type::F32,
    Type::F64,
];

/// The mode bits of a pair of types, if `cvt` takes them.
pub(crate) fn mode_of(destination: Type, source: Type) -> Option<u32> {
    let place = |t| TYPES.iter().position(|&x| x == t).map(|p| p as u32);
    Some(place(destination)? << 8 | place(source)? << 16)
}

/// A value on its way: integers are exact, floats are doubles.
#[derive(Clone, Copy)]
enum Value {
    Int(i128),
    Real(f64),
}

fn read(bits: u64, ty: Type, mode: u32) -> Value {
    match ty {
        Type::U8 => Value::Int(i128::from(bits as u8)),
        Type::S8 => Value::Int(i128::from(bits as i8)),
        Type::U16 => Value::Int(i128::from(bits as u16)),
        Type::S16 => Value::Int(i128::from(bits as i16)),
        Type::U32 => Value::Int(i128::from(bits as u32)),
        Type::S32 => Value::Int(i128::from(bits as i32)),
        Type::U64 => Value::Int(i128::from(bits)),
        Type::S64 => Value::Int(i128::from(bits as i64)),
        Type::F16 => Value::Real(F16(bits as u16).value()),
        Type::BF16 => Value::Real(BF16(bits as u16).value()),
        Type::F32 => Value::Real(f64::from(flush(f32::from_bits(bits as u32), mode))),
        _ => Value::Real(f64::from_bits(bits)),
    }
}

/// Rounds to an integral value.
fn integral(x: f64, mode: u32) -> f64 {
    match mode & ROUNDING {
        ZERO => x.trunc(),
        DOWN => x.floor(),
        UP => x.ceil(),
        _ => x.round_ties_even(),
    }
}

fn bounds(ty: Type) -> (i128, i128) {
    let bits = ty.size() as u32 * 8;
    if ty.is_signed() { (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) } else { (0, (1 << bits) - 1) }
}

/// An integer as a double rounded to odd.
fn odd(v: i128) -> f64 {
    let near = v as f64;
    let lost = v - near as i128;
    to_odd(near, lost as f64)
}

fn float_bits(x: f64, ty: Type, mode: u32) -> u64 {
    let x = saturate64(x, mode);
    let x = if mode & RELU != 0 && x <= 0.0 { 0.0 } else { x };
    // With `.satfinite` an infinity is one more than what it becomes.
    let finite = |half: u16, infinity: u16| {
        u64::from(if mode & SATFINITE != 0 && half & 0x7fff == infinity { half - 1 } else { half })
    };
    match ty {
        Type::F16 => finite(F16::round(x, mode).0, 0x7c00),
        Type::BF16 => finite(BF16::round(x, mode).0, 0x7f80),
        Type::F32 => u64::from(canonical(narrow(x, mode)).to_bits()),
        _ => canonical64(x).to_bits(),
    }
}

/// A 64-bit integer as a double, rounded as the mode says.
fn double_of(v: i128, mode: u32) -> f64 {
    let near = v as f64;
    let back = near as i128;
    match mode & ROUNDING {
        DOWN if back > v => near.next_down(),
        UP if back < v => near.next_up(),
        ZERO if back.abs() > v.abs() => {
            if v > 0 {
                near.next_down()
            } else {
                near.next_up()
            }
        }
        _ => near,
    }
}

/// Bits of sign and fraction of a format.
fn parts(ty: Type) -> (u32, u32) {
    match ty {
        Type::F16 => (15, 10),
        Type::BF16 => (15, 7),
        Type::F32 => (31, 23),
        _ => (63, 52),
    }
}

/// A NaN to or from double precision, which keeps its sign and what fits of its payload.
fn nan(bits: u64, from: Type, to: Type, mode: u32) -> u64 {
    // Flushing takes a step that makes the canonical NaN.
    let bits = if mode & FTZ != 0 && from == Type::F32 { u64::from(super::rounding::NAN32) } else { bits };
    let ((sign, fraction), (to_sign, to_fraction)) = (parts(from), parts(to));
    let payload = (bits & ((1 << fraction) - 1)) << (52 - fraction) | 1 << 51;
    let exponent = (1u64 << to_sign) - (1 << to_fraction);
    (bits >> sign & 1) << to_sign | exponent | payload >> (52 - to_fraction)
}

fn convert(bits: u64, mode: u32) -> u64 {
    let destination = TYPES[(mode >> 8 & 15) as usize % TYPES.len()];
    let source = TYPES[(mode >> 16 & 15) as usize % TYPES.len()];
    // Compilers drop `.ftz` towards a half: subnormal singles round as any number does.
    let mode = if matches!(destination, Type::F16 | Type::BF16) { mode & !FTZ } else { mode };
    match (read(bits, source, mode), destination.is_float()) {
        (Value::Int(v), false) => {
            let (low, high) = bounds(destination);
            let v = if mode & SAT != 0 { v.clamp(low, high) } else { v };
            cut(v, destination)
        }
        (Value::Int(v), true) => {
            let x = if destination == Type::F64 { double_of(v, mode) } else { odd(v) };
            float_bits(x, destination, mode)
        }
        (Value::Real(x), false) => {
            let (low, high) = bounds(destination);
            // PTX ISA, `cvt`: a NaN becomes 0 between types of 32 bits and fewer, else the highest bit alone.
            let wide = source == Type::F64 || destination.size() == 8;
            let nan = if wide { 1 << (8 * destination.size() - 1) } else { 0 };
            let v = if x.is_nan() { nan } else { (integral(x, mode) as i128).clamp(low, high) };
            cut(v, destination)
        }
        (Value::Real(x), true) => {
            let x = if mode & INTEGRAL != 0 { integral(x, mode) } else { x };
            let mode = if mode & INTEGRAL != 0 { mode & !ROUNDING | NEAREST } else { mode };
            if x.is_nan() && mode & SAT == 0 && (source == Type::F64 || destination == Type::F64) {
                return nan(bits, source, destination, mode);
            }
            if x.is_nan() {
                let quiet = if mode & SAT != 0 { 0.0 } else { f64::from_bits(NAN64) };
                return float_bits(quiet, destination, mode);
            }
            float_bits(x, destination, mode)
        }
    }
}

/// The low bits of `v`, extended as the type says.
fn cut(v: i128, ty: Type) -> u64 {
    match ty {
        Type::U8 => v as u8 as u64,
        Type::S8 => v as i8 as i64 as u64,
        Type::U16 => v as u16 as u64,
        Type::S16 => v as i16 as i64 as u64,
        Type::U32 => v as u32 as u64,
        Type::S32 => v as i32 as i64 as u64,
        _ => v as u64,
    }
}

/// Bits of any slot.
pub(crate) trait Bits: Lane {
    fn widen(self) -> u64;
    fn cut(bits: u64) -> Self;
}
impl Bits for u32 {
    fn widen(self) -> u64 {
        u64::from(self)
    }
    fn cut(bits: u64) -> Self {
        bits as u32
    }
}
impl Bits for u64 {
    fn widen(self) -> u64 {
        self
    }
    fn cut(bits: u64) -> Self {
        bits
    }
}

/// Any conversion between slots of these widths.
pub(crate) struct Convert<A, D>(PhantomData<(A, D)>);
impl<A: Bits, D: Bits> F1 for Convert<A, D> {
    type A = A;
    type D = D;
    fn f(a: A, mode: u32) -> D {
        D::cut(convert(a.widen(), mode))
    }
}

/// `cvt.pack`: two integers cut to a type with saturation, the second lowest, and above them the
/// low bits of the third operand. Mode: bits of the type; bit 8: signed.
fn pack_integers(a: i32, b: i32, c: u32, mode: u32) -> u32 {
    let bits = mode & 31;
    let (low, high) =
        if mode >> 8 & 1 != 0 { (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) } else { (0, (1i64 << bits) - 1) };
    let cut = |x: i32| u64::from(i64::from(x).clamp(low, high) as u32) & ((1 << bits) - 1);
    (u64::from(c) << (2 * bits) | cut(a) << bits | cut(b)) as u32
}

/// Two floats packed: the first operand goes to the upper half.
fn pack(a: f32, b: f32, mode: u32) -> u32 {
    let ty = if mode >> 8 & 1 != 0 { Type::BF16 } else { Type::F16 };
    let half = |x: f32| {
        let x = f64::from(flush(x, mode));
        if x.is_nan() { 0x7fff } else { float_bits(x, ty, mode & !FTZ) as u32 }
    };
    half(a) << 16 | half(b)
}

define! {
    Bf16OfF32(a: f32) -> BF16 = bf16_of(a);
    Bf16x2OfF32(a: f32, b: f32) -> Two<BF16> = Two(bf16_of(b), bf16_of(a));
    F32OfBf16(a: BF16) -> u32 = u32::from(a.0) << 16;
    F32OfF16(a: F16) -> f32 = canonical(a.value() as f32);
    F32OfS32(a: i32) -> f32 = a as f32;
    F32OfU32(a: u32) -> f32 = a as f32;
    S32OfF32(a: f32) -> i32 = a as i32;
    F64OfF32(a: f32) -> f64 =
        if a.is_nan() { f64::from_bits(nan(a.to_bits().into(), Type::F32, Type::F64, 0)) } else { f64::from(a) };
    F32OfF64(a: f64) -> f32 =
        if a.is_nan() { f32::from_bits(nan(a.to_bits(), Type::F64, Type::F32, 0) as u32) } else { a as f32 };
    U16OfU32(a: u32) -> u16 = a as u16;
    S32OfS16(a: i16) -> i32 = i32::from(a);
    U32OfU8(a: u8) -> u32 = u32::from(a);
    U32OfU64(a: u64) -> u32 = a as u32;
    PackIntegers(a: i32, b: i32, c: u32; mode) -> u32 = pack_integers(a, b, c, mode);
    /// Mode bit 8: bf16.
    PackF32(a: f32, b: f32; mode) -> u32 = pack(a, b, mode);
    /// `cvt.rna.tf32.f32`: the single keeps 10 fraction bits.
    Tf32(a: f32; mode) -> u32 = {
        let bits = a.to_bits();
        if a.is_nan() {
            // As hardware does in the plain form: a NaN whose payload is below the kept bits becomes infinite.
            if mode == NEAREST_AWAY { bits & !0x1fff } else { NAN32 }
        } else {
            let half = if mode & ROUNDING == NEAREST { 0xfff + (bits >> 13 & 1) } else if mode & ROUNDING == ZERO { 0 } else { 0x1000 };
            let r = if a.is_infinite() { bits } else { bits.wrapping_add(half) & !0x1fff };
            let r = if mode & SATFINITE != 0 && r & 0x7fff_ffff == 0x7f80_0000 { r - 0x2000 } else { r };
            if mode & RELU != 0 && r >> 31 != 0 { 0 } else { r }
        }
    };
}
