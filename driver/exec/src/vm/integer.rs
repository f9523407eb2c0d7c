//! Integer arithmetic.

use std::marker::PhantomData;

use super::ctx::Ctx;
use super::lane::{Lane, Slot};
use super::map::{Exec, F1, F2, F3, define};
use crate::code::Inst;

/// An integer type of PTX arithmetic.
pub(crate) trait Int: Lane + Ord {
    /// Twice as wide.
    type Double: Lane;
    fn add(self, b: Self) -> Self;
    fn sub(self, b: Self) -> Self;
    fn mul(self, b: Self) -> Self;
    fn mul_high(self, b: Self) -> Self;
    fn div(self, b: Self) -> Self;
    fn rem(self, b: Self) -> Self;
    fn absolute(self) -> Self;
    fn negated(self) -> Self;
    fn distance(self, b: Self) -> Self;
    fn shift_right(self, by: u32) -> Self;
    fn clamp_add(self, b: Self) -> Self;
    fn clamp_sub(self, b: Self) -> Self;
    fn wide_mul(self, b: Self) -> Self::Double;
    fn wide_mad(self, b: Self, c: Self::Double) -> Self::Double;
}

macro_rules! int {
    ($($t:ty, $unsigned:ty, $double:ty, $exact:ty, $zero_quotient:expr;)*) => {$(
        impl Int for $t {
            type Double = $double;
            #[inline(always)]
            fn add(self, b: Self) -> Self { self.wrapping_add(b) }
            #[inline(always)]
            fn sub(self, b: Self) -> Self { self.wrapping_sub(b) }
            #[inline(always)]
            fn mul(self, b: Self) -> Self { self.wrapping_mul(b) }
            #[inline(always)]
            fn mul_high(self, b: Self) -> Self { ((self as $exact * b as $exact) >> <$t>::BITS) as $t }
            // PTX leaves division by zero open; NVIDIA GPUs give all ones and the dividend.
            #[inline(always)]
            fn div(self, b: Self) -> Self { if b == 0 { $zero_quotient } else { self.wrapping_div(b) } }
            #[inline(always)]
            fn rem(self, b: Self) -> Self {
                // As an H200 does it: 16-bit division goes another way.
                let none = if size_of::<Self>() == 2 { !0 } else { self };
                if b == 0 { none } else { self.wrapping_rem(b) }
            }
            #[inline(always)]
            fn absolute(self) -> Self { if self < 0 as $t { (0 as $t).wrapping_sub(self) } else { self } }
            #[inline(always)]
            fn negated(self) -> Self { self.wrapping_neg() }
            #[inline(always)]
            fn distance(self, b: Self) -> Self { self.max(b).wrapping_sub(self.min(b)) }
            #[inline(always)]
            fn shift_right(self, by: u32) -> Self {
                let clamped = by.min(<$t>::BITS - 1);
                if by >= <$t>::BITS && <$t>::MIN == 0 { 0 } else { self >> clamped }
            }
            #[inline(always)]
            fn clamp_add(self, b: Self) -> Self { self.saturating_add(b) }
            #[inline(always)]
            fn clamp_sub(self, b: Self) -> Self { self.saturating_sub(b) }
            #[inline(always)]
            fn wide_mul(self, b: Self) -> $double { (self as $double).wrapping_mul(b as $double) }
            #[inline(always)]
            fn wide_mad(self, b: Self, c: $double) -> $double { self.wide_mul(b).wrapping_add(c) }
        }
    )*};
}

int! {
    u16, u16, u32, u32, u16::MAX;
    i16, u16, i32, i32, -1;
    u32, u32, u64, u64, u32::MAX;
    i32, u32, i64, i64, -1;
    // A 64-bit product has no wide form in PTX; the type only has to exist.
    u64, u64, u64, u128, u64::MAX;
    i64, u64, i64, i128, -1;
}

macro_rules! two {
    ($($name:ident = $method:ident;)*) => {$(
        pub(crate) struct $name<T>(PhantomData<T>);
        impl<T: Int> F2 for $name<T> {
            type A = T;
            type B = T;
            type D = T;
            #[inline(always)]
            fn f(a: T, b: T, _: u32) -> T { a.$method(b) }
        }
    )*};
}
two! {
    Add = add; Sub = sub; Mul = mul; MulHigh = mul_high; Div = div; Rem = rem; Min = min; Max = max;
    AddSat = clamp_add; SubSat = clamp_sub;
}

macro_rules! one {
    ($($name:ident = $method:ident;)*) => {$(
        pub(crate) struct $name<T>(PhantomData<T>);
        impl<T: Int> F1 for $name<T> {
            type A = T;
            type D = T;
            #[inline(always)]
            fn f(a: T, _: u32) -> T { a.$method() }
        }
    )*};
}
one! { Abs = absolute; Neg = negated; }

/// `mul.wide`.
pub(crate) struct MulWide<T>(PhantomData<T>);
impl<T: Int> F2 for MulWide<T> {
    type A = T;
    type B = T;
    type D = T::Double;
    #[inline(always)]
    fn f(a: T, b: T, _: u32) -> T::Double {
        a.wide_mul(b)
    }
}

/// `mad.wide`.
pub(crate) struct MadWide<T>(PhantomData<T>);
impl<T: Int> F3 for MadWide<T> {
    type A = T;
    type B = T;
    type C = T::Double;
    type D = T::Double;
    #[inline(always)]
    fn f(a: T, b: T, c: T::Double, _: u32) -> T::Double {
        a.wide_mad(b, c)
    }
}

macro_rules! three {
    ($($name:ident = |$a:ident, $b:ident, $c:ident| $e:expr;)*) => {$(
        pub(crate) struct $name<T>(PhantomData<T>);
        impl<T: Int> F3 for $name<T> {
            type A = T;
            type B = T;
            type C = T;
            type D = T;
            #[inline(always)]
            fn f($a: T, $b: T, $c: T, _: u32) -> T { $e }
        }
    )*};
}
three! {
    Mad = |a, b, c| a.mul(b).add(c);
    MadHigh = |a, b, c| a.mul_high(b).add(c);
    MadHighSat = |a, b, c| a.mul_high(b).clamp_add(c);
    Sad = |a, b, c| c.add(a.distance(b));
}

/// `shr`, by a 32-bit amount.
pub(crate) struct Shr<T>(PhantomData<T>);
impl<T: Int> F2 for Shr<T> {
    type A = T;
    type B = u32;
    type D = T;
    #[inline(always)]
    fn f(a: T, b: u32, _: u32) -> T {
        a.shift_right(b)
    }
}

/// `mul24`/`mad24`: the low 24 bits of both factors; mode bit 0: signed, bit 1: `.hi`, bit 2: `.sat`.
fn product24(a: u32, b: u32, mode: u32) -> u32 {
    let product = if mode & 1 != 0 {
        (i64::from(((a << 8) as i32) >> 8) * i64::from(((b << 8) as i32) >> 8)) as u64
    } else {
        u64::from(a & 0xff_ffff) * u64::from(b & 0xff_ffff)
    };
    if mode & 2 != 0 { (product >> 16) as u32 } else { product as u32 }
}

/// Sum of products of bytes (or bytes and halves); mode bits: 0 a signed, 1 b signed, 2 `dp2a`, 3 `.hi`.
fn dot(a: u32, b: u32, c: u32, mode: u32) -> u32 {
    let byte = |v: u32, i: u32, signed: bool| {
        let raw = (v >> (8 * i)) as u8;
        if signed { i32::from(raw as i8) } else { i32::from(raw) }
    };
    let (sa, sb) = (mode & 1 != 0, mode & 2 != 0);
    let mut sum = c;
    if mode & 4 == 0 {
        for i in 0..4 {
            sum = sum.wrapping_add((byte(a, i, sa) * byte(b, i, sb)) as u32);
        }
    } else {
        let first = if mode & 8 != 0 { 2 } else { 0 };
        for i in 0..2 {
            let half = (a >> (16 * i)) as u16;
            let half = if sa { i32::from(half as i16) } else { i32::from(half) };
            sum = sum.wrapping_add(half.wrapping_mul(byte(b, first + i, sb)) as u32);
        }
    }
    sum
}

define! {
    Mul24(a: u32, b: u32; mode) -> u32 = product24(a, b, mode);
    Mad24(a: u32, b: u32, c: u32; mode) -> u32 = {
        let product = product24(a, b, mode);
        if mode & 4 != 0 { (product as i32).saturating_add(c as i32) as u32 } else { product.wrapping_add(c) }
    };
    Dot(a: u32, b: u32, c: u32; mode) -> u32 = dot(a, b, c, mode);
}

/// Arithmetic with the carry flag. Operand list: destination, carry, a, b, and c of `mad`.
/// Mode bits: 0 carry in, 1 carry out, 2 subtract, 3 `mad.lo`, 4 `mad.hi`, 5 signed.
pub(crate) struct Carry<S>(PhantomData<S>);

/// A slot as an exact integer.
pub(crate) trait Exact: Slot {
    const BITS: u32;
    fn exact(self, signed: bool) -> i128;
    fn cut(value: i128) -> Self;
}
impl Exact for u32 {
    const BITS: u32 = 32;
    fn exact(self, signed: bool) -> i128 {
        if signed { i128::from(self as i32) } else { i128::from(self) }
    }
    fn cut(value: i128) -> Self {
        value as u32
    }
}
impl Exact for u64 {
    const BITS: u32 = 64;
    fn exact(self, signed: bool) -> i128 {
        if signed { i128::from(self as i64) } else { i128::from(self) }
    }
    fn cut(value: i128) -> Self {
        value as u64
    }
}

impl<S: Exact> Exec for Carry<S> {
    fn exec(c: &mut Ctx, i: &Inst) {
        let (list, mode) = (i.c, i.imm as u32);
        let [d, flag, a, b, z] = [0, 1, 2, 3, 4].map(|n| c.extra(list, n));
        let carries = c.predicate(flag);
        let (mut out, mut result) = (0u32, [S::default(); 32]);
        for lane in 0..32 {
            let (mut x, mut y) = (c.lane::<S>(a, lane).exact(false), c.lane::<S>(b, lane).exact(false));
            if mode & 0b11000 != 0 {
                let signed = mode & 32 != 0;
                let (p, q) = (c.lane::<S>(a, lane).exact(signed), c.lane::<S>(b, lane).exact(signed));
                let product = if signed { p.wrapping_mul(q) as u128 } else { (p as u128).wrapping_mul(q as u128) };
                let part = if mode & 16 != 0 { product >> S::BITS } else { product };
                x = S::cut(part as i128).exact(false);
                y = c.lane::<S>(z, lane).exact(false);
            }
            // A subtraction adds the complement and one, which a flag that is not set takes away.
            let carry = match (mode & 1 != 0, mode & 4 != 0) {
                (true, _) => i128::from(carries >> lane & 1),
                (false, subtracts) => i128::from(subtracts),
            };
            let y = if mode & 4 != 0 { (1i128 << S::BITS) - 1 - y } else { y };
            let sum = x + y + carry;
            result[lane] = S::cut(sum);
            out |= u32::from(sum >> S::BITS != 0) << lane;
        }
        c.set_vector(d, result);
        if mode & 2 != 0 {
            c.set_predicate(flag, out);
        }
    }
}
