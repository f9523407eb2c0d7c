//! Bitwise operations, shifts, fields, permutes.

use super::map::define;

#[inline(always)]
fn logic3(a: u64, b: u64, c: u64, table: u32) -> u64 {
    let mut r = 0;
    for k in 0..8 {
        if table >> k & 1 != 0 {
            let x = if k & 4 != 0 { a } else { !a };
            let y = if k & 2 != 0 { b } else { !b };
            let z = if k & 1 != 0 { c } else { !c };
            r |= x & y & z;
        }
    }
    r
}

/// `prmt`: the default mode and the six named ones (mode 1..=6).
fn permute(a: u32, b: u32, selector: u32, mode: u32) -> u32 {
    let bytes = u64::from(a) | u64::from(b) << 32;
    let byte = |i: u32| (bytes >> (8 * (i & 7))) as u8;
    let s = selector & 3;
    let pick: [u32; 4] = match mode {
        1 => [s, s + 1, s + 2, s + 3],
        2 => [s, (s + 7) & 7, (s + 6) & 7, (s + 5) & 7],
        3 => [s; 4],
        4 => [s, s.max(1), s.max(2), 3],
        5 => [0, s.min(1), s.min(2), s],
        6 => {
            let h = (s & 1) * 2;
            [h, h + 1, h, h + 1]
        }
        _ => {
            let mut r = 0;
            for i in 0..4 {
                let nibble = selector >> (4 * i) & 15;
                let mut v = byte(nibble);
                if nibble & 8 != 0 {
                    v = ((v as i8) >> 7) as u8;
                }
                r |= u32::from(v) << (8 * i);
            }
            return r;
        }
    };
    (0..4).fold(0, |r, i| r | u32::from(byte(pick[i])) << (8 * i))
}

/// `bfe`; mode bit 0: signed.
fn extract(a: u64, position: u32, length: u32, mode: u32, width: u32) -> u64 {
    let (position, length) = (position & 255, length & 255);
    let signed = mode & 1 != 0;
    let value = if signed && width == 32 { a as u32 as i32 as i64 as u64 } else { a };
    let top = (position + length).min(width).wrapping_sub(1);
    let sign = signed && length != 0 && value >> top.min(width - 1) & 1 != 0;
    let field = if position >= 64 { 0 } else { value >> position };
    let kept = length.min(width.saturating_sub(position));
    let mask = if kept >= 64 { u64::MAX } else { (1 << kept) - 1 };
    let fill = if sign { !mask } else { 0 };
    (field & mask) | fill
}

#[inline(always)]
fn insert(a: u64, b: u64, position: u32, length: u32, width: u32) -> u64 {
    let (position, length) = (position & 255, length & 255);
    if position >= width || length == 0 {
        return b;
    }
    let kept = length.min(width - position);
    let mask = (if kept >= 64 { u64::MAX } else { (1 << kept) - 1 }) << position;
    (b & !mask) | (a << position & mask)
}

/// `bfind`; mode bit 0: signed, bit 1: `.shiftamt`.
fn find(a: u64, mode: u32, width: u32) -> u32 {
    let mut v = if width == 32 { a as u32 as u64 } else { a };
    if mode & 1 != 0 {
        let s = if width == 32 { i64::from(a as u32 as i32) } else { a as i64 };
        v = if s < 0 { !(s as u64) & (u64::MAX >> (64 - width)) } else { s as u64 };
    }
    if v == 0 {
        return u32::MAX;
    }
    let position = 63 - v.leading_zeros();
    if mode & 2 != 0 { width - 1 - position } else { position }
}

#[inline(always)]
fn funnel(a: u32, b: u32, by: u32, mode: u32) -> u32 {
    let n = if mode & 2 != 0 { by.min(32) } else { by & 31 };
    let both = u64::from(b) << 32 | u64::from(a);
    if mode & 1 != 0 { (both >> n) as u32 } else { ((both << n) >> 32) as u32 }
}

/// `fns`: the `offset`-th set bit of `mask` from `base` (negative: downwards).
fn nth_set(mask: u32, base: u32, offset: u32) -> u32 {
    let offset = offset as i32;
    let base = base & 31;
    if offset == 0 {
        return if mask >> base & 1 != 0 { base } else { u32::MAX };
    }
    let mut left = offset.unsigned_abs();
    let mut at = base as i32;
    while (0..32).contains(&at) {
        if mask >> at & 1 != 0 {
            left -= 1;
            if left == 0 {
                return at as u32;
            }
        }
        at += offset.signum();
    }
    u32::MAX
}

define! {
    And32(a: u32, b: u32) -> u32 = a & b;
    Or32(a: u32, b: u32) -> u32 = a | b;
    Xor32(a: u32, b: u32) -> u32 = a ^ b;
    Not32(a: u32) -> u32 = !a;
    Cnot32(a: u32) -> u32 = u32::from(a == 0);
    Cnot16(a: u16) -> u16 = u16::from(a == 0);
    And64(a: u64, b: u64) -> u64 = a & b;
    Or64(a: u64, b: u64) -> u64 = a | b;
    Xor64(a: u64, b: u64) -> u64 = a ^ b;
    Not64(a: u64) -> u64 = !a;
    Cnot64(a: u64) -> u64 = u64::from(a == 0);
    Shl16(a: u16, b: u32) -> u16 = if b > 15 { 0 } else { a << b };
    Shl32(a: u32, b: u32) -> u32 = if b > 31 { 0 } else { a << (b & 31) };
    Shl64(a: u64, b: u32) -> u64 = if b > 63 { 0 } else { a << (b & 63) };
    /// Immediate: the truth table.
    Lop32(a: u32, b: u32, c: u32; table) -> u32 = logic3(u64::from(a), u64::from(b), u64::from(c), table) as u32;
    Prmt(a: u32, b: u32, c: u32; mode) -> u32 = permute(a, b, c, mode);
    Clz32(a: u32) -> u32 = a.leading_zeros();
    Clz64(a: u64) -> u32 = a.leading_zeros();
    Popc32(a: u32) -> u32 = a.count_ones();
    Popc64(a: u64) -> u32 = a.count_ones();
    Brev32(a: u32) -> u32 = a.reverse_bits();
    Brev64(a: u64) -> u64 = a.reverse_bits();
    Bfind32(a: u32; mode) -> u32 = find(u64::from(a), mode, 32);
    Bfind64(a: u64; mode) -> u32 = find(a, mode, 64);
    Bfe32(a: u32, p: u32, n: u32; mode) -> u32 = extract(u64::from(a), p, n, mode, 32) as u32;
    Bfe64(a: u64, p: u32, n: u32; mode) -> u64 = extract(a, p, n, mode, 64);
    /// Mode: position and length in one constant (bits 0..8 and 8..16), as NVRTC emits it.
    BfiFixed32(a: u32, b: u32; mode) -> u32 = insert(u64::from(a), u64::from(b), mode & 255, mode >> 8 & 255, 32) as u32;
    BfiFixed64(a: u64, b: u64; mode) -> u64 = insert(a, b, mode & 255, mode >> 8 & 255, 64);
    /// The third operand holds position and length in the same way.
    Bfi32(a: u32, b: u32, field: u32) -> u32 = insert(u64::from(a), u64::from(b), field & 255, field >> 8 & 255, 32) as u32;
    Bfi64(a: u64, b: u64, field: u32) -> u64 = insert(a, b, field & 255, field >> 8 & 255, 64);
    /// Makes the third operand of `Bfi32` and `Bfi64`.
    Field(position: u32, length: u32) -> u32 = (position & 255) | (length & 255) << 8;
    /// Mode bit 0: right, bit 1: clamp.
    Shf(a: u32, b: u32, c: u32; mode) -> u32 = funnel(a, b, c, mode);
    Fns(mask: u32, base: u32, offset: u32) -> u32 = nth_set(mask, base, offset);
    /// `bmsk`: mode bit 0: clamp.
    Bmsk(position: u32, width: u32; mode) -> u32 = {
        let (p, w) = if mode & 1 != 0 { (position.min(32), width.min(32)) } else { (position & 31, width & 31) };
        (((1u64 << w) - 1) << p) as u32
    };
    /// `szext`: mode bit 0: signed, bit 1: clamp.
    Szext(a: u32, width: u32; mode) -> u32 = {
        let w = if mode & 2 != 0 { width.min(32) } else { width & 31 };
        match (w, mode & 1 != 0) {
            (0, _) => 0,
            (_, true) => ((a << (32 - w)) as i32 >> (32 - w)) as u32,
            (_, false) => a << (32 - w) >> (32 - w),
        }
    };
    Mov32(a: u32) -> u32 = a;
    Mov64(a: u64) -> u64 = a;
    /// `mov.b32 d, {a, b}` with 16-bit parts.
    Pack16(a: u32, b: u32) -> u32 = (a & 0xffff) | b << 16;
    /// `mov.b64 d, {a, b}` with 32-bit parts.
    Pack32(a: u32, b: u32) -> u64 = u64::from(a) | u64::from(b) << 32;
    Low16(a: u32) -> u32 = a & 0xffff;
    High16(a: u32) -> u32 = a >> 16;
    Low32(a: u64) -> u32 = a as u32;
    High32(a: u64) -> u32 = (a >> 32) as u32;
    /// 16 bits of a 64-bit value; mode: shift.
    Part64(a: u64; mode) -> u32 = (a >> mode) as u32 & 0xffff;
    /// Byte of a 32-bit value; mode: shift.
    Part32(a: u32; mode) -> u32 = a >> mode & 0xff;
    Pack8(a: u32, b: u32; mode) -> u32 = a | (b & 0xff) << mode;
    Widen(a: u32) -> u64 = u64::from(a);
    WidenSigned(a: i32) -> i64 = i64::from(a);
}
