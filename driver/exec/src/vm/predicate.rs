//! `setp`, `set`, `selp`, `slct` and predicate logic.

#![allow(
    clippy::neg_cmp_op_on_partial_ord,
    clippy::nonminimal_bool,
    clippy::overly_complex_bool_expr,
    clippy::double_comparisons,
    clippy::eq_op,
    reason = "the unordered comparisons are the negations of ordered ones"
)]

use std::marker::PhantomData;

use super::compare::{self, Test};
use super::ctx::{Ctx, FULL, LANES, each_active, either};
use super::half::Half;
use super::lane::{BF16, F16, Lane};
use super::map::F2;
use super::map::{Exec, Next, Op, cold, exec, known, op2};
use super::rounding::flush;
use crate::code::Inst;
use crate::slot::SCALAR;

/// A comparison of two values.
pub(crate) trait Compare {
    type T: Lane;
    const TEST: Test;
    fn test(a: Self::T, b: Self::T, mode: u32) -> bool;
}

macro_rules! compare {
    ($($name:ident |$a:ident, $b:ident| $e:expr;)*) => {$(
        pub(crate) struct $name<T>(PhantomData<T>);
        impl<T: Lane + PartialOrd> Compare for $name<T> {
            type T = T;
            const TEST: Test = Test::$name;
            #[inline(always)]
            fn test($a: T, $b: T, _: u32) -> bool { $e }
        }
    )*};
}
compare! {
    Eq |a, b| a == b;
    Ne |a, b| a < b || a > b;
    Lt |a, b| a < b;
    Le |a, b| a <= b;
    Gt |a, b| a > b;
    Ge |a, b| a >= b;
    // The unordered ones are true where one side is a NaN.
    Equ |a, b| !(a < b || a > b);
    Neu |a, b| a != b;
    Ltu |a, b| !(a >= b);
    Leu |a, b| !(a > b);
    Gtu |a, b| !(a <= b);
    Geu |a, b| !(a < b);
    Num |a, b| a == a && b == b;
    Nan |a, b| a != a || b != b;
}

macro_rules! ordered {
    ($($t:ty)*) => {$(
        impl PartialOrd for $t {
            fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
                self.value().partial_cmp(&other.value())
            }
            fn lt(&self, other: &Self) -> bool { self.value() < other.value() }
            fn le(&self, other: &Self) -> bool { self.value() <= other.value() }
            fn gt(&self, other: &Self) -> bool { self.value() > other.value() }
            fn ge(&self, other: &Self) -> bool { self.value() >= other.value() }
        }
        impl PartialEq for $t {
            fn eq(&self, other: &Self) -> bool { self.value() == other.value() }
        }
    )*};
}
ordered! { F16 BF16 }

/// A half that is compared with subnormals flushed.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
pub(crate) struct FlushedHalf(f64);
impl Lane for FlushedHalf {
    type Slot = u32;
    fn from_slot(slot: u32) -> Self {
        FlushedHalf(super::half::flushed(F16(slot as u16), super::rounding::FTZ))
    }
    fn to_slot(self) -> u32 {
        u32::from(F16::round(self.0, 0).0)
    }
}

/// A single that is compared with subnormals flushed.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
pub(crate) struct Flushed(f32);
impl Lane for Flushed {
    type Slot = u32;
    fn from_slot(slot: u32) -> Self {
        Flushed(flush(f32::from_bits(slot), super::rounding::FTZ))
    }
    fn to_slot(self) -> u32 {
        self.0.to_bits()
    }
}

/// Comparison of both operands, all lanes at once. `d`: predicate.
pub(super) struct Setp<C, const B: bool>(PhantomData<C>);

impl<C: Compare, const B: bool> Exec for Setp<C, B> {
    #[inline(always)]
    fn exec(c: &mut Ctx, i: &Inst) {
        let mode = i.imm as u32;
        let a: [<C::T as Lane>::Slot; LANES] = c.vector(i.a);
        let b: [<C::T as Lane>::Slot; LANES] = if B { [c.scalar(i.b); LANES] } else { c.vector(i.b) };
        let mut bits = [0u32; LANES];
        for l in 0..LANES {
            bits[l] = if C::test(C::T::from_slot(a[l]), C::T::from_slot(b[l]), mode) { 1 << l } else { 0 };
        }
        c.set_predicate(i.d, either(bits));
    }
}

/// The comparison as an operation that writes a predicate.
pub(crate) fn setp<C: Compare>() -> Op {
    Op {
        general: cold::<Next<SetpAny<C>>>(),
        special: Some(|kinds| match kinds {
            0 => Some(compare::setp::<C, false>()),
            2 => Some(compare::setp::<C, true>()),
            _ => None,
        }),
        pure: true,
    }
}

struct SetpAny<C>(PhantomData<C>);
impl<C: Compare> Exec for SetpAny<C> {
    fn exec(c: &mut Ctx, i: &Inst) {
        if i.a & i.b & SCALAR != 0 {
            let holds = C::test(c.get(i.a, 0), c.get(i.b, 0), i.imm as u32);
            c.set_predicate(i.d, if holds { FULL } else { 0 });
            return;
        }
        let mut all = 0;
        each_active(c, |c, l| all |= u32::from(C::test(c.get(i.a, l), c.get(i.b, l), i.imm as u32)) << l);
        c.set_predicate(i.d, all);
    }
}

/// A rare comparison: the general form only.
pub(crate) fn setp_rare<C: Compare>() -> Op {
    Op { general: cold::<Next<SetpAny<C>>>(), special: None, pure: true }
}

/// `set`: the result as a number. Mode: the bits that mean true.
pub(crate) struct Set<C>(PhantomData<C>);
impl<C: Compare> F2 for Set<C> {
    type A = C::T;
    type B = C::T;
    type D = u32;
    fn f(a: C::T, b: C::T, mode: u32) -> u32 {
        if C::test(a, b, 0) { mode } else { 0 }
    }
}

/// The halves of a word.
fn halves<T: Lane<Slot = u32>>(word: u32) -> [T; 2] {
    [T::from_slot(word & 0xffff), T::from_slot(word >> 16)]
}

/// Comparison of the two halves of packed operands. Operand list: low predicate, high predicate, a, b.
pub(crate) struct SetpTwo<C>(PhantomData<C>);
impl<C: Compare<T: Lane<Slot = u32>>> Exec for SetpTwo<C> {
    fn exec(c: &mut Ctx, i: &Inst) {
        let [low, high, a, b] = [0, 1, 2, 3].map(|n| c.extra(i.c, n));
        let (mut p, mut q) = (0, 0);
        each_active(c, |c, l| {
            let (x, y) = (halves(c.lane(a, l)), halves(c.lane(b, l)));
            p |= u32::from(C::test(x[0], y[0], 0)) << l;
            q |= u32::from(C::test(x[1], y[1], 0)) << l;
        });
        c.set_predicate(low, p);
        c.set_predicate(high, q);
    }
}

/// `set` of the two halves of packed operands. Mode: the 16 bits that mean true.
pub(crate) struct SetTwo<C>(PhantomData<C>);
impl<C: Compare<T: Lane<Slot = u32>>> F2 for SetTwo<C> {
    type A = u32;
    type B = u32;
    type D = u32;
    fn f(a: u32, b: u32, mode: u32) -> u32 {
        let (x, y) = (halves(a), halves(b));
        let half = |n: usize| if C::test(x[n], y[n], 0) { mode } else { 0 };
        half(0) | half(1) << 16
    }
}

/// Predicate logic. mode: one of the numbers below.
pub(crate) struct Logic;
impl Exec for Logic {
    #[inline(always)]
    fn exec(c: &mut Ctx, i: &Inst) {
        let (a, b) = (c.predicate(i.a), c.predicate(i.b));
        let value = match i.imm {
            0 => a & b,
            1 => a | b,
            2 => a ^ b,
            3 => !a,
            _ => a,
        };
        c.set_predicate(i.d, value);
    }
}
/// Numbers of [`Logic`].
pub(crate) const AND: u64 = 0;
pub(crate) const OR: u64 = 1;
pub(crate) const XOR: u64 = 2;
pub(crate) const NOT: u64 = 3;
pub(crate) const COPY: u64 = 4;

/// Sets a predicate to a constant.
pub(crate) struct Constant;
impl Exec for Constant {
    fn exec(c: &mut Ctx, i: &Inst) {
        c.set_predicate(i.d, i.imm as u32);
    }
}

/// A predicate from a register: nonzero lanes.
pub(crate) struct Nonzero;
impl Exec for Nonzero {
    fn exec(c: &mut Ctx, i: &Inst) {
        let mut all = 0;
        for l in 0..LANES {
            all |= u32::from(c.lane::<u32>(i.a, l) != 0) << l;
        }
        c.set_predicate(i.d, all);
    }
}

/// `selp`: `a` where predicate `c` holds, else `b`.
struct Select<T>(PhantomData<T>);
impl<T: Lane> Exec for Select<T> {
    fn exec(c: &mut Ctx, i: &Inst) {
        let p = c.predicate(i.c);
        if i.d & SCALAR != 0 {
            // A predicate is the same in all lanes where a scalar result is asked for.
            let source = if p & c.warp.active != 0 { i.a } else { i.b };
            let value = c.scalar::<T::Slot>(source);
            c.set_scalar(i.d, value);
            return;
        }
        each_active(c, |c, l| {
            let value = c.lane::<T::Slot>(if p >> l & 1 != 0 { i.a } else { i.b }, l);
            c.set_lane(i.d, l, value);
        });
    }
}

/// `selp` of a vector.
struct SelectLanes<T, const A: bool, const B: bool>(PhantomData<T>);
impl<T: Lane, const A: bool, const B: bool> Exec for SelectLanes<T, A, B> {
    #[inline(always)]
    fn exec(c: &mut Ctx, i: &Inst) {
        let p = c.predicate(i.c);
        let (a, b) = (known::<T, A>(c, i.a), known::<T, B>(c, i.b));
        let mut r = b;
        for l in 0..LANES {
            r[l] = if p >> l & 1 != 0 { a[l] } else { b[l] };
        }
        c.set_vector(i.d, r);
    }
}

/// `selp` as an operation.
pub(crate) fn select<T: Lane>() -> Op {
    Op {
        special: Some(|kinds| match kinds {
            0 => Some(exec::<SelectLanes<T, false, false>>()),
            1 => Some(exec::<SelectLanes<T, true, false>>()),
            2 => Some(exec::<SelectLanes<T, false, true>>()),
            3 => Some(exec::<SelectLanes<T, true, true>>()),
            _ => None,
        }),
        ..Op { general: cold::<Next<Select<T>>>(), special: None, pure: true }
    }
}

/// `slct` with an integer selector.
pub(crate) struct SlctInt<T>(PhantomData<T>);
/// `slct` with an `f32` selector; mode: `.ftz`.
pub(crate) struct SlctReal<T>(PhantomData<T>);
impl<T: Lane> super::map::F3 for SlctInt<T> {
    type A = T;
    type B = T;
    type C = i32;
    type D = T;
    fn f(a: T, b: T, c: i32, _: u32) -> T {
        if c >= 0 { a } else { b }
    }
}
impl<T: Lane> super::map::F3 for SlctReal<T> {
    type A = T;
    type B = T;
    type C = f32;
    type D = T;
    fn f(a: T, b: T, c: f32, mode: u32) -> T {
        if flush(c, mode) >= 0.0 { a } else { b }
    }
}

/// `set` of comparison `C` as an operation.
pub(crate) fn set<C: Compare>() -> Op {
    op2::<Set<C>>()
}
