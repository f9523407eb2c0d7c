//! Handlers that apply a function lane by lane.
//!
//! Every operation has one general form that takes any mix of scalar and vector operands.
//! A hot operation also has one form per mix, which the compiler vectorises.

use std::marker::PhantomData;

use super::ctx::{Ctx, LANES, each_active};
use super::lane::Lane;
use crate::code::{Handler, HandlerSet, Inst};
use crate::slot::SCALAR;

/// An instruction that falls through.
pub(crate) trait Exec {
    fn exec(c: &mut Ctx, i: &Inst);
}

/// An instruction that chooses what comes next (null: the warp stops).
pub(crate) trait Step {
    /// Most often that is the instruction behind it, which its handler calls as the last thing it does.
    const ONWARD: bool = false;
    fn step(c: &mut Ctx, i: &Inst) -> *const Inst;
}

/// An [`Exec`] as a [`Step`].
pub(crate) struct Next<E>(PhantomData<E>);

impl<E: Exec> Step for Next<E> {
    const ONWARD: bool = true;
    #[inline(always)]
    fn step(c: &mut Ctx, i: &Inst) -> *const Inst {
        E::exec(c, i);
        std::ptr::from_ref(i).wrapping_add(1)
    }
}

/// An instruction that gives what comes next to the loop: handlers call each other no further than to it.
pub(crate) struct Pause;
impl Step for Pause {
    fn step(_: &mut Ctx, i: &Inst) -> *const Inst {
        std::ptr::from_ref(i).wrapping_add(1)
    }
}

/// Executes what comes next, as the last thing that a handler does: optimised, that is a jump, which costs less than
/// to return to the loop and be called from there, and which each handler makes at a place of its own. A compiler need
/// not make it one. Therefore a branch that is taken returns to the loop, and the decoder sees to a [`Pause`] in what
/// is straight for long.
///
/// # Safety
/// `next` points into the code that `c` runs.
#[inline(always)]
pub(super) unsafe fn onward(c: &mut Ctx, next: *const Inst) -> *const Inst {
    // SAFETY: by the caller; the decoder chose the handler for this machine.
    unsafe { ((*next).handler)(c, next) }
}

/// # Safety
/// As [`onward`], for `i`.
#[inline(always)]
unsafe fn whole<S: Step>(c: &mut Ctx, i: *const Inst) -> *const Inst {
    // SAFETY: by the caller; no code ends with an instruction that goes on behind itself.
    unsafe {
        let next = S::step(c, &*i);
        if S::ONWARD && next == i.wrapping_add(1) { onward(c, next) } else { next }
    }
}

/// # Safety
/// `i` must point into the code that `c` runs.
unsafe fn baseline<S: Step>(c: &mut Ctx, i: *const Inst) -> *const Inst {
    // SAFETY: by the caller.
    unsafe { whole::<S>(c, i) }
}

/// # Safety
/// As [`baseline`], on a machine with these features.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,bmi1,bmi2,lzcnt,popcnt")]
pub(super) unsafe fn avx2<S: Step>(c: &mut Ctx, i: *const Inst) -> *const Inst {
    // SAFETY: by the caller.
    unsafe { whole::<S>(c, i) }
}

/// # Safety
/// As [`baseline`], on a machine with these features.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,bmi1,bmi2,lzcnt,popcnt")]
pub(super) unsafe fn avx512<S: Step>(c: &mut Ctx, i: *const Inst) -> *const Inst {
    // SAFETY: by the caller.
    unsafe { whole::<S>(c, i) }
}

/// The handlers of an instruction that chooses what comes next.
pub(crate) fn step<S: Step>() -> HandlerSet {
    #[cfg(target_arch = "x86_64")]
    let set: [Handler; 3] = [baseline::<S>, avx2::<S>, avx512::<S>];
    #[cfg(not(target_arch = "x86_64"))]
    let set: [Handler; 3] = [baseline::<S>, baseline::<S>, baseline::<S>];
    HandlerSet(set)
}

/// The handlers of an instruction that falls through.
pub(crate) fn exec<E: Exec>() -> HandlerSet {
    step::<Next<E>>()
}

/// An operation as the decoder knows it.
#[derive(Clone, Copy)]
pub(crate) struct Op {
    /// Takes any operands.
    pub general: HandlerSet,
    /// A form for vector destination and given scalar operands (bit n: source n is scalar).
    pub special: Option<fn(u32) -> Option<HandlerSet>>,
    /// Gives the same value for the same operands, so that scalar operands give a scalar result.
    pub pure: bool,
}

/// A function of one operand. `mode` is the instruction's immediate.
pub(crate) trait F1 {
    type A: Lane;
    type D: Lane;
    fn f(a: Self::A, mode: u32) -> Self::D;
}

/// A function of two operands.
pub(crate) trait F2 {
    type A: Lane;
    type B: Lane;
    type D: Lane;
    fn f(a: Self::A, b: Self::B, mode: u32) -> Self::D;
}

/// A function of three operands.
pub(crate) trait F3 {
    type A: Lane;
    type B: Lane;
    type C: Lane;
    type D: Lane;
    fn f(a: Self::A, b: Self::B, c: Self::C, mode: u32) -> Self::D;
}

struct G1<O>(PhantomData<O>);
struct G2<O>(PhantomData<O>);
struct G3<O>(PhantomData<O>);

macro_rules! general {
    ($g:ident, $f:ident, $($field:ident $t:ident),+) => {
        impl<O: $f> Exec for $g<O> {
            #[inline(always)]
            fn exec(c: &mut Ctx, i: &Inst) {
                let mode = i.imm as u32;
                if (i.d | $(i.$field)&+) & SCALAR != 0 {
                    let value = O::f($(c.get::<O::$t>(i.$field, 0),)+ mode).to_slot();
                    c.set_lanes(i.d, [value; LANES]);
                    return;
                }
                each_active(c, |c, lane| {
                    let value = O::f($(c.get::<O::$t>(i.$field, lane),)+ mode).to_slot();
                    c.set_lane(i.d, lane, value);
                });
            }
        }
    };
}
general!(G1, F1, a A);
general!(G2, F2, a A, b B);
general!(G3, F3, a A, b B, c C);

struct H1<O>(PhantomData<O>);
struct H2<O, const A: bool, const B: bool>(PhantomData<O>);
struct H3<O, const A: bool, const B: bool, const C: bool>(PhantomData<O>);

/// All lanes of an operand whose kind is known.
#[inline(always)]
pub(super) fn known<T: Lane, const SCALAR_OPERAND: bool>(c: &Ctx, offset: u32) -> [T::Slot; LANES] {
    if SCALAR_OPERAND { [c.scalar(offset); LANES] } else { c.vector(offset) }
}

impl<O: F1> Exec for H1<O> {
    #[inline(always)]
    fn exec(c: &mut Ctx, i: &Inst) {
        let a = known::<O::A, false>(c, i.a);
        let mut r = [Default::default(); LANES];
        for l in 0..LANES {
            r[l] = O::f(O::A::from_slot(a[l]), i.imm as u32).to_slot();
        }
        c.set_vector(i.d, r);
    }
}

impl<O: F2, const A: bool, const B: bool> Exec for H2<O, A, B> {
    #[inline(always)]
    fn exec(c: &mut Ctx, i: &Inst) {
        let a = known::<O::A, A>(c, i.a);
        let b = known::<O::B, B>(c, i.b);
        let mut r = [Default::default(); LANES];
        for l in 0..LANES {
            r[l] = O::f(O::A::from_slot(a[l]), O::B::from_slot(b[l]), i.imm as u32).to_slot();
        }
        c.set_vector(i.d, r);
    }
}

impl<O: F3, const A: bool, const B: bool, const C: bool> Exec for H3<O, A, B, C> {
    #[inline(always)]
    fn exec(c: &mut Ctx, i: &Inst) {
        let x = known::<O::A, A>(c, i.a);
        let y = known::<O::B, B>(c, i.b);
        let z = known::<O::C, C>(c, i.c);
        let mut r = [Default::default(); LANES];
        for l in 0..LANES {
            r[l] = O::f(O::A::from_slot(x[l]), O::B::from_slot(y[l]), O::C::from_slot(z[l]), i.imm as u32).to_slot();
        }
        c.set_vector(i.d, r);
    }
}

/// A function of one operand, general form only: rare, so that one compilation will do.
pub(crate) fn op1<O: F1>() -> Op {
    Op { general: cold::<Next<G1<O>>>(), special: None, pure: true }
}

/// A function of two operands, general form only.
pub(crate) fn op2<O: F2>() -> Op {
    Op { general: cold::<Next<G2<O>>>(), special: None, pure: true }
}

/// A function of three operands, general form only.
pub(crate) fn op3<O: F3>() -> Op {
    Op { general: cold::<Next<G3<O>>>(), special: None, pure: true }
}

/// A hot function of one operand.
pub(crate) fn hot1<O: F1>() -> Op {
    Op {
        special: Some(|kinds| (kinds == 0).then(exec::<H1<O>>)),
        ..Op { general: exec::<G1<O>>(), special: None, pure: true }
    }
}

/// A hot function of two operands.
pub(crate) fn hot2<O: F2>() -> Op {
    Op {
        special: Some(|kinds| match kinds {
            0 => Some(exec::<H2<O, false, false>>()),
            1 => Some(exec::<H2<O, true, false>>()),
            2 => Some(exec::<H2<O, false, true>>()),
            _ => None,
        }),
        ..Op { general: exec::<G2<O>>(), special: None, pure: true }
    }
}

/// A hot function of three operands.
pub(crate) fn hot3<O: F3>() -> Op {
    Op {
        special: Some(|kinds| match kinds {
            0 => Some(exec::<H3<O, false, false, false>>()),
            1 => Some(exec::<H3<O, true, false, false>>()),
            2 => Some(exec::<H3<O, false, true, false>>()),
            4 => Some(exec::<H3<O, false, false, true>>()),
            3 => Some(exec::<H3<O, true, true, false>>()),
            5 => Some(exec::<H3<O, true, false, true>>()),
            6 => Some(exec::<H3<O, false, true, true>>()),
            _ => None,
        }),
        ..Op { general: exec::<G3<O>>(), special: None, pure: true }
    }
}

/// A vector function of two operands for which scalar operands are rare.
pub(crate) fn warm2<O: F2>() -> Op {
    Op {
        special: Some(|kinds| (kinds == 0).then(exec::<H2<O, false, false>>)),
        ..Op { general: exec::<G2<O>>(), special: None, pure: true }
    }
}

/// A function of three operands that is hot with a vector first operand.
pub(crate) fn warm3<O: F3>() -> Op {
    Op {
        special: Some(|kinds| match kinds {
            0 => Some(exec::<H3<O, false, false, false>>()),
            2 => Some(exec::<H3<O, false, true, false>>()),
            6 => Some(exec::<H3<O, false, true, true>>()),
            _ => None,
        }),
        ..op3::<O>()
    }
}

/// Defines operations: `name(a: A, b: B) -> D = expression;` with an optional `, mode`.
macro_rules! define {
    () => {};
    ($(#[$m:meta])* $n:ident ($a:ident: $A:ty) -> $D:ty = $e:expr; $($rest:tt)*) => {
        define!($(#[$m])* $n ($a: $A; _mode) -> $D = $e; $($rest)*);
    };
    ($(#[$m:meta])* $n:ident ($a:ident: $A:ty; $mode:ident) -> $D:ty = $e:expr; $($rest:tt)*) => {
        $(#[$m])*
        pub(crate) struct $n;
        impl crate::vm::map::F1 for $n {
            type A = $A;
            type D = $D;
            #[inline(always)]
            fn f($a: $A, $mode: u32) -> $D { $e }
        }
        define!($($rest)*);
    };
    ($(#[$m:meta])* $n:ident ($a:ident: $A:ty, $b:ident: $B:ty) -> $D:ty = $e:expr; $($rest:tt)*) => {
        define!($(#[$m])* $n ($a: $A, $b: $B; _mode) -> $D = $e; $($rest)*);
    };
    ($(#[$m:meta])* $n:ident ($a:ident: $A:ty, $b:ident: $B:ty; $mode:ident) -> $D:ty = $e:expr; $($rest:tt)*) => {
        $(#[$m])*
        pub(crate) struct $n;
        impl crate::vm::map::F2 for $n {
            type A = $A;
            type B = $B;
            type D = $D;
            #[inline(always)]
            fn f($a: $A, $b: $B, $mode: u32) -> $D { $e }
        }
        define!($($rest)*);
    };
    ($(#[$m:meta])* $n:ident ($a:ident: $A:ty, $b:ident: $B:ty, $c:ident: $C:ty) -> $D:ty = $e:expr; $($rest:tt)*) => {
        define!($(#[$m])* $n ($a: $A, $b: $B, $c: $C; _mode) -> $D = $e; $($rest)*);
    };
    ($(#[$m:meta])* $n:ident ($a:ident: $A:ty, $b:ident: $B:ty, $c:ident: $C:ty; $mode:ident) -> $D:ty = $e:expr; $($rest:tt)*) => {
        $(#[$m])*
        pub(crate) struct $n;
        impl crate::vm::map::F3 for $n {
            type A = $A;
            type B = $B;
            type C = $C;
            type D = $D;
            #[inline(always)]
            fn f($a: $A, $b: $B, $c: $C, $mode: u32) -> $D { $e }
        }
        define!($($rest)*);
    };
}
pub(crate) use define;

/// The handlers of an instruction for which the host's vector units make no difference.
pub(crate) fn cold<S: Step>() -> HandlerSet {
    HandlerSet([baseline::<S>; 3])
}
