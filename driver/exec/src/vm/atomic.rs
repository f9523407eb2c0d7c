//! `atom` and `red`.

use std::marker::PhantomData;
use std::sync::atomic::{AtomicU16, AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::ctx::{Ctx, LANES, each_active};
use super::half::Half;
use super::lane::{BF16, F16, Lane, Slot, Two};
use super::map::Step;
use super::memory::{GENERIC, SHARED, SHARED_WINDOW, WINDOW, peek, poke};
use super::rounding::{FTZ, canonical, flush};
use crate::code::Inst;

/// Changes `old`, given the operands.
pub(crate) trait Update {
    /// As it lies in memory.
    type Word: Word;
    /// Whether kernels spend time on it in shared memory.
    const OFTEN: bool = false;
    fn f(old: Self::Word, b: Self::Word, c: Self::Word) -> Self::Word;
    /// The same in global memory, where one differs.
    #[inline(always)]
    fn global(old: Self::Word, b: Self::Word, c: Self::Word) -> Self::Word {
        Self::f(old, b, c)
    }
}

/// A word that atomics work on.
pub(crate) trait Word: Copy + PartialEq {
    type Slot: Slot;
    fn from_slot(slot: Self::Slot) -> Self;
    fn to_slot(self) -> Self::Slot;
    /// Replaces `*place` by `f` of it; gives the old value.
    fn update(place: *mut u8, f: impl Fn(Self) -> Self) -> Self;
}

macro_rules! word {
    ($($t:ty, $atomic:ty, $slot:ty;)*) => {$(
        impl Word for $t {
            type Slot = $slot;
            #[inline(always)]
            fn from_slot(slot: $slot) -> Self { slot as $t }
            #[inline(always)]
            fn to_slot(self) -> $slot { self as $slot }
            #[inline(always)]
            fn update(place: *mut u8, f: impl Fn(Self) -> Self) -> Self {
                // SAFETY: `reach` found the place inside mapped memory and aligned for the word;
                // the host memory of a range is aligned like its device address.
                let word = unsafe { <$atomic>::from_ptr(place.cast()) };
                let mut old = word.load(Ordering::Relaxed);
                loop {
                    match word.compare_exchange_weak(old, f(old), Ordering::AcqRel, Ordering::Acquire) {
                        Ok(old) => return old,
                        Err(now) => old = now,
                    }
                }
            }
        }
    )*};
}
word! { u16, AtomicU16, u32; u32, AtomicU32, u32; u64, AtomicU64, u64; }

/// `atom`. Operand list: destination, b, c; the destination is left out for `red` (mode bit 0).
/// `a`: address, `b`: site, `c`: list, `imm`: offset, `d`: 1 when there is no destination.
pub(crate) struct Atomic<U, const SPACE: u8, const WIDE: bool>(PhantomData<U>);

/// A lane of an operand.
type Slotted<U> = <<U as Update>::Word as Word>::Slot;

impl<U: Update, const SPACE: u8, const WIDE: bool> Step for Atomic<U, SPACE, WIDE> {
    const ONWARD: bool = true;
    #[inline(always)]
    fn step(c: &mut Ctx, i: &Inst) -> *const Inst {
        let bytes = size_of::<U::Word>() as u32;
        let spread = if U::OFTEN && SPACE == SHARED {
            c.reach::<SPACE, WIDE>(i, i.a, i.imm, i.b, bytes, true)
        } else {
            c.reach_apart::<SPACE, WIDE>(i, i.a, i.imm, i.b, bytes, true)
        };
        let Some(spread) = spread else { return std::ptr::null() };
        let (y, z): ([Slotted<U>; LANES], [Slotted<U>; LANES]) = (c.lanes(c.extra(i.c, 1)), c.lanes(c.extra(i.c, 2)));
        let mut before = [Slotted::<U>::default(); LANES];
        let addresses = (SPACE == GENERIC).then(|| c.addresses::<WIDE>(i.a, i.imm));
        each_active(c, |_, l| {
            let place = spread.at(l, bytes as usize);
            let shared = addresses.is_some_and(|all| all[l & (LANES - 1)] & WINDOW == SHARED_WINDOW);
            let (y, z) = (U::Word::from_slot(y[l]), U::Word::from_slot(z[l]));
            // One thread runs all of a block, so that shared memory needs no lock.
            let old = if SPACE == SHARED {
                let old: U::Word = peek(place);
                poke(place, U::f(old, y, z));
                old
            } else {
                U::Word::update(place, |old| if shared { U::f(old, y, z) } else { U::global(old, y, z) })
            };
            before[l] = old.to_slot();
        });
        if i.d == 0 {
            c.set_vector(c.extra(i.c, 0), before);
        }
        std::ptr::from_ref(i).wrapping_add(1)
    }
}

/// `atom.exch.b128` (`d`: 1) and `atom.cas.b128`. List at `c`: destination, b and c, two halves each.
pub(crate) struct Atomic128<const SPACE: u8, const WIDE: bool>;

impl<const SPACE: u8, const WIDE: bool> Step for Atomic128<SPACE, WIDE> {
    fn step(c: &mut Ctx, i: &Inst) -> *const Inst {
        // The host has no atomic of this width everywhere; accesses of other widths to the same place
        // at once are a race in PTX too.
        static ONE: Mutex<()> = Mutex::new(());
        let Some(spread) = c.reach_apart::<SPACE, WIDE>(i, i.a, i.imm, i.b, 16, true) else {
            return std::ptr::null();
        };
        let operand = |n: usize| c.extra(i.c, n);
        let [d0, d1, b0, b1, c0, c1] = std::array::from_fn(operand);
        let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        each_active(c, |c, l| {
            let place = spread.at(l, 16);
            let pair = |low: u32, high: u32| -> [u64; 2] { [c.lane(low, l), c.lane(high, l)] };
            let (b, z) = (pair(b0, b1), pair(c0, c1));
            let old: [u64; 2] = peek(place);
            if i.d == 1 {
                poke(place, b);
            } else if old == b {
                poke(place, z);
            }
            c.set_lane(d0, l, old[0]);
            c.set_lane(d1, l, old[1]);
        });
        std::ptr::from_ref(i).wrapping_add(1)
    }
}

macro_rules! updates {
    ($($name:ident: $t:ty = |$old:ident, $b:ident, $c:ident| $e:expr;)*) => {$(
        pub(crate) struct $name;
        impl Update for $name {
            type Word = $t;
            #[inline(always)]
            fn f($old: $t, $b: $t, $c: $t) -> $t { let _ = ($old, $c); $e }
        }
    )*};
}

fn add_half<H: Half>(a: H, b: H) -> H {
    let (s, e) = super::rounding::two_sum(a.value(), b.value());
    H::round(super::rounding::to_odd(s, e), 0)
}

/// The lesser (or the greater) one; a number rather than a NaN, and -0 less than +0.
fn pick_half<H: Half>(a: H, b: H, greater: bool) -> H {
    let (x, y) = (a.value(), b.value());
    match (x.is_nan(), y.is_nan()) {
        (true, true) => H::from_raw(H::NAN),
        (true, false) => b,
        (false, true) => a,
        (false, false) if (x.total_cmp(&y) == std::cmp::Ordering::Greater) == greater => a,
        (false, false) => b,
    }
}

fn pick_two<H: Half>(a: u32, b: u32, greater: bool) -> u32
where
    Two<H>: Lane<Slot = u32>,
{
    let (x, y) = (Two::<H>::from_slot(a), Two::<H>::from_slot(b));
    Two(pick_half(x.0, y.0, greater), pick_half(x.1, y.1, greater)).to_slot()
}

/// As [`pick_half`], of floats in single precision.
fn pick_single(a: u32, b: u32, greater: bool) -> u32 {
    let (x, y) = (f32::from_bits(a), f32::from_bits(b));
    match (x.is_nan(), y.is_nan()) {
        (true, true) => 0x7fff_ffff,
        (true, false) => b,
        (false, true) => a,
        (false, false) if (x.total_cmp(&y) == std::cmp::Ordering::Greater) == greater => a,
        (false, false) => b,
    }
}

fn add_two<H: Half>(a: u32, b: u32) -> u32
where
    Two<H>: Lane<Slot = u32>,
{
    let (x, y) = (Two::<H>::from_slot(a), Two::<H>::from_slot(b));
    Two(add_half(x.0, y.0), add_half(x.1, y.1)).to_slot()
}

/// Adds singles. In shared memory subnormals stay; in global memory they become zeros of their sign (PTX
/// ISA, `atom`).
pub(crate) struct AddF32;
impl Update for AddF32 {
    type Word = u32;
    fn f(old: u32, b: u32, _: u32) -> u32 {
        canonical(f32::from_bits(old) + f32::from_bits(b)).to_bits()
    }
    fn global(old: u32, b: u32, c: u32) -> u32 {
        let flushed = |bits: u32| flush(f32::from_bits(bits), FTZ).to_bits();
        flushed(Self::f(flushed(old), flushed(b), c))
    }
}

/// Adds words, as histograms do.
pub(crate) struct Add32;
impl Update for Add32 {
    type Word = u32;
    const OFTEN: bool = true;
    #[inline(always)]
    fn f(old: u32, b: u32, _: u32) -> u32 {
        old.wrapping_add(b)
    }
}

updates! {
    Add64: u64 = |old, b, c| old.wrapping_add(b);
    AddF64: u64 = |old, b, c| super::rounding::canonical64(f64::from_bits(old) + f64::from_bits(b)).to_bits();
    AddF16: u16 = |old, b, c| add_half(F16(old), F16(b)).0;
    AddBf16: u16 = |old, b, c| add_half(BF16(old), BF16(b)).0;
    AddF16x2: u32 = |old, b, c| add_two::<F16>(old, b);
    AddBf16x2: u32 = |old, b, c| add_two::<BF16>(old, b);
    MinF32: u32 = |old, b, c| pick_single(old, b, false);
    MaxF32: u32 = |old, b, c| pick_single(old, b, true);
    MinF16: u16 = |old, b, c| pick_half(F16(old), F16(b), false).0;
    MaxF16: u16 = |old, b, c| pick_half(F16(old), F16(b), true).0;
    MinBf16: u16 = |old, b, c| pick_half(BF16(old), BF16(b), false).0;
    MaxBf16: u16 = |old, b, c| pick_half(BF16(old), BF16(b), true).0;
    MinF16x2: u32 = |old, b, c| pick_two::<F16>(old, b, false);
    MaxF16x2: u32 = |old, b, c| pick_two::<F16>(old, b, true);
    MinBf16x2: u32 = |old, b, c| pick_two::<BF16>(old, b, false);
    MaxBf16x2: u32 = |old, b, c| pick_two::<BF16>(old, b, true);
    MinU32: u32 = |old, b, c| old.min(b);
    MinS32: u32 = |old, b, c| (old as i32).min(b as i32) as u32;
    MinU64: u64 = |old, b, c| old.min(b);
    MinS64: u64 = |old, b, c| (old as i64).min(b as i64) as u64;
    MaxU32: u32 = |old, b, c| old.max(b);
    MaxS32: u32 = |old, b, c| (old as i32).max(b as i32) as u32;
    MaxU64: u64 = |old, b, c| old.max(b);
    MaxS64: u64 = |old, b, c| (old as i64).max(b as i64) as u64;
    And32: u32 = |old, b, c| old & b;
    And64: u64 = |old, b, c| old & b;
    Or32: u32 = |old, b, c| old | b;
    Or64: u64 = |old, b, c| old | b;
    Xor32: u32 = |old, b, c| old ^ b;
    Xor64: u64 = |old, b, c| old ^ b;
    Exch32: u32 = |old, b, c| b;
    Exch64: u64 = |old, b, c| b;
    Cas16: u16 = |old, b, c| if old == b { c } else { old };
    Cas32: u32 = |old, b, c| if old == b { c } else { old };
    Cas64: u64 = |old, b, c| if old == b { c } else { old };
    Inc32: u32 = |old, b, c| if old >= b { 0 } else { old + 1 };
    Dec32: u32 = |old, b, c| if old == 0 || old > b { b } else { old - 1 };
}
