//! Directed rounding and flushing, exact where IEEE 754 is.
//!
//! A single-precision result is rounded once: the exact value is first rounded to a double
//! "to odd" (the last bit records that something was lost), which no later rounding to
//! 24 bits or fewer can mistake for an exact value or a tie.

/// Rounding of an instruction: the low three bits of its mode.
pub(crate) const NEAREST: u32 = 0;
pub(crate) const ZERO: u32 = 1;
pub(crate) const DOWN: u32 = 2;
pub(crate) const UP: u32 = 3;
pub(crate) const NEAREST_AWAY: u32 = 4;
/// Mask of the rounding bits.
pub(crate) const ROUNDING: u32 = 7;
/// `.ftz`.
pub(crate) const FTZ: u32 = 8;
/// `.sat`.
pub(crate) const SAT: u32 = 16;
/// `.relu`.
pub(crate) const RELU: u32 = 32;
/// `.NaN` of `min` and `max`.
pub(crate) const KEEP_NAN: u32 = 64;

/// `.satfinite`: what is too large becomes the largest finite value.
pub(crate) const SATFINITE: u32 = 1 << 24;
/// `.xorsign.abs` of `min` and `max`.
pub(crate) const XORSIGN: u32 = 1 << 25;

/// PTX's canonical NaN of single precision.
pub(crate) const NAN32: u32 = 0x7fff_ffff;
/// The canonical NaN of double precision.
pub(crate) const NAN64: u64 = 0xfff8_0000_0000_0000;

/// `x`, or the canonical NaN: host instruction sets disagree on payloads.
///
/// The bits are compared as integers: the compiler takes one NaN for as good as another and
/// would drop a choice between two of them.
#[inline(always)]
pub(crate) fn canonical(x: f32) -> f32 {
    let bits = x.to_bits();
    f32::from_bits(if bits & 0x7fff_ffff > 0x7f80_0000 { NAN32 } else { bits })
}

/// As [`canonical`], for a double.
#[inline(always)]
pub(crate) fn canonical64(x: f64) -> f64 {
    let bits = x.to_bits();
    f64::from_bits(if bits & !(1 << 63) > 0x7ff0_0000_0000_0000 { NAN64 } else { bits })
}

/// `x`, or where that is a NaN: the first NaN among the operands, quiet, or the one that an
/// operation without any makes. `order`: as an H200 looks at them.
pub(crate) fn propagated(x: f64, order: &[f64]) -> f64 {
    if !x.is_nan() {
        return x;
    }
    let found = order.iter().find(|v| v.is_nan());
    f64::from_bits(found.map_or(NAN64, |v| v.to_bits() | 1 << 51))
}

/// A subnormal becomes a zero of its sign, if `mode` says so.
#[inline(always)]
pub(crate) fn flush(x: f32, mode: u32) -> f32 {
    if mode & FTZ != 0 && x.is_subnormal() { f32::from_bits(x.to_bits() & 0x8000_0000) } else { x }
}

/// Clamps to [0, 1] (NaN: +0) if `mode` says so.
#[inline(always)]
pub(crate) fn saturate(x: f32, mode: u32) -> f32 {
    if mode & SAT == 0 {
        x
    } else if x > 0.0 {
        x.min(1.0)
    } else {
        0.0
    }
}

/// As [`saturate`], for a double.
pub(crate) fn saturate64(x: f64, mode: u32) -> f64 {
    if mode & SAT == 0 {
        x
    } else if x > 0.0 {
        x.min(1.0)
    } else {
        0.0
    }
}

/// The sum as a double and what it lost.
pub(crate) fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let s = a + b;
    let t = s - a;
    (s, (a - (s - t)) + (b - t))
}

/// `s + error` rounded to odd, where `s` is the nearest double.
pub(crate) fn to_odd(s: f64, error: f64) -> f64 {
    if error == 0.0 || !s.is_finite() || error.is_nan() || s.to_bits() & 1 == 1 {
        s
    } else if error > 0.0 {
        s.next_up()
    } else {
        s.next_down()
    }
}

/// Whether `x`, rounded once to `bits` bits at any exponent, stays below `least`, the least normal number: then `.ftz`
/// makes a zero of it, though as a subnormal it may have been rounded up to `least`. M (H200, driver 580.159.04).
pub(crate) fn is_tiny(x: f64, least: f64, bits: i32, mode: u32) -> bool {
    let (part, last) = (x.abs() / least, 2.0f64.powi(-bits));
    match mode & ROUNDING {
        DOWN if x < 0.0 => part <= 1.0 - last,
        UP if x > 0.0 => part <= 1.0 - last,
        ZERO | DOWN | UP => part < 1.0,
        _ => part < 1.0 - last / 2.0,
    }
}

/// A double (exact, or rounded to odd) as a single, flushed if `mode` says so.
pub(crate) fn narrow(x: f64, mode: u32) -> f32 {
    let r = round_to_single(x, mode);
    if mode & FTZ == 0 || r.abs() > f32::MIN_POSITIVE || r.is_nan() {
        return r;
    }
    // A subnormal is tiny in any mode.
    if is_tiny(x, f64::from(f32::MIN_POSITIVE), 24, mode) { 0.0f32.copysign(r) } else { r }
}

fn round_to_single(x: f64, mode: u32) -> f32 {
    let r = x as f32;
    let wide = f64::from(r);
    match mode & ROUNDING {
        ZERO if wide.abs() > x.abs() => {
            if r > 0.0 {
                r.next_down()
            } else {
                r.next_up()
            }
        }
        DOWN if wide > x => r.next_down(),
        UP if wide < x => r.next_up(),
        _ => r,
    }
}

/// The nearest double `s` of an exact value `s + error`, rounded as `mode` says.
pub(crate) fn direct(s: f64, error: f64, mode: u32) -> f64 {
    if s.is_nan() || error == 0.0 || error.is_nan() {
        return s;
    }
    match mode & ROUNDING {
        ZERO if (s > 0.0 && error < 0.0) || (s == 0.0 && s.is_sign_positive() && error < 0.0) => s.next_down().max(0.0),
        ZERO if s < 0.0 && error > 0.0 => s.next_up(),
        DOWN if error < 0.0 => s.next_down(),
        UP if error > 0.0 => s.next_up(),
        _ => s,
    }
}

/// A sum that is exactly zero is negative when rounding down, unless both are +0.
fn zero_sum(s: f64, a: f64, b: f64, mode: u32) -> f64 {
    let both_positive_zero = a.to_bits() == 0 && b.to_bits() == 0;
    if s == 0.0 && mode & ROUNDING == DOWN && !both_positive_zero { -0.0 } else { s }
}

/// Where the nearest result overflowed, the finite bound takes its place if the rounding says so.
fn bounded(s: f64, finite_inputs: bool, mode: u32) -> f64 {
    if !s.is_infinite() || !finite_inputs {
        return s;
    }
    match (mode & ROUNDING, s > 0.0) {
        (ZERO | DOWN, true) => f64::MAX,
        (ZERO | UP, false) => f64::MIN,
        _ => s,
    }
}

pub(crate) fn add32(a: f32, b: f32, mode: u32) -> f32 {
    let (x, y) = (f64::from(a), f64::from(b));
    let (s, e) = two_sum(x, y);
    if s == 0.0 { zero_sum(s, x, y, mode) as f32 } else { narrow(to_odd(s, e), mode) }
}

pub(crate) fn mul32(a: f32, b: f32, mode: u32) -> f32 {
    narrow(f64::from(a) * f64::from(b), mode)
}

pub(crate) fn fma32(a: f32, b: f32, c: f32, mode: u32) -> f32 {
    let (p, z) = (f64::from(a) * f64::from(b), f64::from(c));
    let (s, e) = two_sum(p, z);
    if s == 0.0 { zero_sum(s, p, z, mode) as f32 } else { narrow(to_odd(s, e), mode) }
}

pub(crate) fn div32(a: f32, b: f32, mode: u32) -> f32 {
    let (x, y) = (f64::from(a), f64::from(b));
    let q = x / y;
    if !q.is_finite() || q == 0.0 {
        return q as f32;
    }
    let rest = (-q).mul_add(y, x);
    narrow(to_odd(q, if y < 0.0 { -rest } else { rest }), mode)
}

pub(crate) fn sqrt32(a: f32, mode: u32) -> f32 {
    let x = f64::from(a);
    let q = x.sqrt();
    if !q.is_finite() || q == 0.0 {
        return q as f32;
    }
    narrow(to_odd(q, (-q).mul_add(q, x)), mode)
}

pub(crate) fn add64(a: f64, b: f64, mode: u32) -> f64 {
    fma64(a, 1.0, b, mode)
}

pub(crate) fn mul64(a: f64, b: f64, mode: u32) -> f64 {
    if !a.is_finite() || !b.is_finite() || a == 0.0 || b == 0.0 { a * b } else { fused64(a, b, 0.0, mode) }
}

pub(crate) fn fma64(a: f64, b: f64, c: f64, mode: u32) -> f64 {
    if mode & ROUNDING == NEAREST || !a.is_finite() || !b.is_finite() || !c.is_finite() {
        return a.mul_add(b, c);
    }
    if a == 0.0 || b == 0.0 {
        let p = a * b;
        return if c == 0.0 { zero_sum(p + c, p, c, mode) } else { c };
    }
    fused64(a, b, c, mode)
}

/// Magnitude of a finite double as a whole number and a power of two.
fn whole(x: f64) -> (u128, i32) {
    let (bits, field) = (x.to_bits() & ((1 << 52) - 1), (x.to_bits() >> 52 & 0x7ff) as i32);
    if field == 0 { (u128::from(bits), -1074) } else { (u128::from(bits | 1 << 52), field - 1075) }
}

/// `a * b + c` of finite numbers, none of the factors zero, rounded once in the direction of `mode`.
/// In whole numbers: where a product underflows, no double holds what it lost.
fn fused64(a: f64, b: f64, c: f64, mode: u32) -> f64 {
    // The leading bit at 125: room for a carry, and below for what an addend loses.
    let lead = |(m, e): (u128, i32)| {
        let by = m.leading_zeros() as i32 - 2;
        if m == 0 { (0, i32::MIN) } else { (m << by, e - by) }
    };
    let ((ma, ea), (mb, eb)) = (whole(a), whole(b));
    let product = (lead((ma * mb, ea + eb)), a.is_sign_negative() != b.is_sign_negative());
    let addend = (lead(whole(c)), c.is_sign_negative());
    let in_order = (product.0.1, product.0.0) >= (addend.0.1, addend.0.0);
    let (((large, e), negative), ((small, least), opposite)) =
        if in_order { (product, addend) } else { (addend, product) };
    let apart = e.saturating_sub(least).clamp(0, 127) as u32;
    // The last bit records that something was lost.
    let small = (small >> apart) | u128::from(small & ((1 << apart) - 1) != 0);
    let sum = if negative == opposite { large + small } else { large - small };
    if sum == 0 {
        return if mode & ROUNDING == DOWN { -0.0 } else { 0.0 };
    }
    let last = (e + 127 - sum.leading_zeros() as i32 - 52).max(-1074);
    let drop = (last - e).clamp(0, 127) as u32;
    let lost = sum & ((1 << drop) - 1) != 0;
    let away = mode & ROUNDING == if negative { DOWN } else { UP };
    // Where most bits have cancelled each other, all that are left fit.
    let kept = if last < e { (sum << (e - last)) as u64 } else { (sum >> drop) as u64 + u64::from(lost && away) };
    // A normal number's leading bit adds one to the exponent field by itself.
    let bits = (((last + 1074) as u64) << 52) + kept;
    let infinity = f64::INFINITY.to_bits();
    let magnitude = if bits < infinity { bits } else { infinity - u64::from(!away) };
    f64::from_bits(magnitude | u64::from(negative) << 63)
}

pub(crate) fn div64(a: f64, b: f64, mode: u32) -> f64 {
    let q = a / b;
    if !q.is_finite() {
        return bounded(q, a.is_finite() && b.is_finite() && b != 0.0, mode);
    }
    if a == 0.0 || b.is_infinite() {
        return q;
    }
    // Both scaled so that the remainder neither overflows nor underflows.
    let (ea, eb) = (exponent(a), exponent(b));
    let (x, y) = (scaled(a, -ea), scaled(b, -eb));
    let rest = (-scaled(q, eb - ea)).mul_add(y, x);
    direct(q, if y < 0.0 { -rest } else { rest }, mode)
}

pub(crate) fn sqrt64(a: f64, mode: u32) -> f64 {
    let q = a.sqrt();
    if !q.is_finite() || q == 0.0 {
        return q;
    }
    let e = exponent(a) & !1;
    let y = scaled(q, -e / 2);
    direct(q, (-y).mul_add(y, scaled(a, -e)), mode)
}

/// Exponent of the leading bit.
fn exponent(x: f64) -> i32 {
    let bits = x.to_bits() & !(1 << 63);
    let e = (bits >> 52) as i32;
    if e == 0 { -1011 - bits.leading_zeros() as i32 } else { e - 1023 }
}

/// `x * 2^n`, in steps that stay in range.
fn scaled(mut x: f64, mut n: i32) -> f64 {
    while n != 0 {
        let step = n.clamp(-1000, 1000);
        x *= f64::from_bits(((1023 + step) as u64) << 52);
        n -= step;
    }
    x
}

/// Rounds a double (exact, or rounded to odd) to a format with `fraction` fraction bits and
/// least normal exponent `least`; the largest exponent is `1 - least`. Gives the bits without
/// the sign; overflow gives infinity or the largest finite value as the rounding says.
pub(crate) fn to_format(x: f64, fraction: u32, least: i32, mode: u32) -> u32 {
    let infinity = ((2 - 2 * least) as u32 + 1) << fraction;
    let negative = x.is_sign_negative();
    let away = match mode & ROUNDING {
        DOWN => negative,
        UP => !negative,
        _ => false,
    };
    if x == 0.0 {
        return 0;
    }
    if x.is_infinite() {
        return infinity;
    }
    let bits = x.to_bits() & !(1 << 63);
    let e = exponent(x);
    let mantissa = if bits >> 52 == 0 { bits << (e + 1074).abs_diff(52) } else { (bits & ((1 << 52) - 1)) | 1 << 52 };
    // Bits below the last kept one.
    let drop = 52 - fraction as i32 + (least - e).max(0);
    let (kept, rest, half) =
        if drop > 62 { (0, 1, 2) } else { (mantissa >> drop, mantissa & ((1 << drop) - 1), 1u64 << (drop - 1)) };
    let up = match mode & ROUNDING {
        NEAREST => rest > half || (rest == half && kept & 1 == 1),
        NEAREST_AWAY => rest >= half,
        _ => away && rest != 0,
    };
    let biased = (e.max(least) - least) as u64;
    let result = (biased << fraction) + kept + u64::from(up);
    // A normal number's leading bit adds one to the exponent field by itself.
    if result >= u64::from(infinity) {
        let nearest = matches!(mode & ROUNDING, NEAREST | NEAREST_AWAY);
        return if nearest || away { infinity } else { infinity - 1 };
    }
    result as u32
}
