//! What works on the bits of words.

use super::harness::W::{B, D};
use super::harness::{check, check_after, s, w};

#[test]
fn bits() {
    check("and.b32", B, &[B, B], |a, b, _| w(a & b));
    check("or.b32", B, &[B, B], |a, b, _| w(a | b));
    check("xor.b32", B, &[B, B], |a, b, _| w(a ^ b));
    check("not.b32", B, &[B], |a, _, _| w(!a));
    check("cnot.b32", B, &[B], |a, _, _| u64::from(w(a) == 0));
    check("and.b64", D, &[D, D], |a, b, _| a & b);
    check("or.b64", D, &[D, D], |a, b, _| a | b);
    check("xor.b64", D, &[D, D], |a, b, _| a ^ b);
    check("not.b64", D, &[D], |a, _, _| !a);
    check("shl.b32", B, &[B, B], |a, b, _| if w(b) > 31 { 0 } else { w(a << w(b)) });
    check("shr.u32", B, &[B, B], |a, b, _| if w(b) > 31 { 0 } else { w(a) >> w(b) });
    check("shr.s32", B, &[B, B], |a, b, _| w((s(a) >> w(b).min(31)) as u64));
    check("shl.b64", D, &[D, B], |a, b, _| if w(b) > 63 { 0 } else { a << w(b) });
    check("shr.u64", D, &[D, B], |a, b, _| if w(b) > 63 { 0 } else { a >> w(b) });
    check("shr.s64", D, &[D, B], |a, b, _| ((a as i64) >> w(b).min(63)) as u64);
    check("shf.l.wrap.b32", B, &[B, B, B], |a, b, c| w(((w(b) << 32 | w(a)) << (c & 31)) >> 32));
    check("shf.r.wrap.b32", B, &[B, B, B], |a, b, c| w((w(b) << 32 | w(a)) >> (c & 31)));
    check("shf.l.clamp.b32", B, &[B, B, B], |a, b, c| w(((w(b) << 32 | w(a)) << w(c).min(32)) >> 32));
    check("shf.r.clamp.b32", B, &[B, B, B], |a, b, c| w((w(b) << 32 | w(a)) >> w(c).min(32)));
    check("clz.b32", B, &[B], |a, _, _| u64::from((a as u32).leading_zeros()));
    check("clz.b64", B, &[D], |a, _, _| u64::from(a.leading_zeros()));
    check("popc.b32", B, &[B], |a, _, _| u64::from((a as u32).count_ones()));
    check("popc.b64", B, &[D], |a, _, _| u64::from(a.count_ones()));
    check("brev.b32", B, &[B], |a, _, _| u64::from((a as u32).reverse_bits()));
    check("brev.b64", D, &[D], |a, _, _| a.reverse_bits());
    check("bfind.u32", B, &[B], |a, _, _| (0..32).rev().find(|n| a >> n & 1 == 1).unwrap_or(0xffff_ffff));
    check("bfind.s32", B, &[B], |a, _, _| {
        let sign = a >> 31 & 1;
        (0..32).rev().find(|n| a >> n & 1 != sign).unwrap_or(0xffff_ffff)
    });
    check("bfind.shiftamt.u32", B, &[B], |a, _, _| {
        (0..32).rev().find(|n| a >> n & 1 == 1).map_or(0xffff_ffff, |n| 31 - n)
    });
    check("bfind.u64", B, &[D], |a, _, _| (0..64).rev().find(|n| a >> n & 1 == 1).unwrap_or(0xffff_ffff));
    check("bfe.u32", B, &[B, B, B], |a, b, c| extract(w(a), b, c, 32, false));
    check("bfe.s32", B, &[B, B, B], |a, b, c| w(extract(w(a), b, c, 32, true)));
    check("bfe.u64", D, &[D, B, B], |a, b, c| extract(a, b, c, 64, false));
    check("bfe.s64", D, &[D, B, B], |a, b, c| extract(a, b, c, 64, true));
    for table in [0x00, 0x01, 0x80, 0x96, 0xe8, 0xca, 0xff] {
        // The table is the fifth operand; the store follows the fourth.
        let text = format!("lop3.b32 %r31, %r1, %r2, %r3, {table};\nmov.b32");
        check_after(&text, B, &[B, B, B], "%r31", move |a, b, c| {
            (0..32).fold(0, |r, n| {
                let index = (a >> n & 1) << 2 | (b >> n & 1) << 1 | (c >> n & 1);
                r | (table >> index & 1) << n
            })
        });
    }
    check("prmt.b32", B, &[B, B, B], |a, b, c| {
        let bytes: Vec<u64> =
            (0..8).map(|n| if n < 4 { a >> (8 * n) & 255 } else { b >> (8 * (n - 4)) & 255 }).collect();
        (0..4).fold(0, |r, n| {
            let pick = c >> (4 * n) & 15;
            let byte = bytes[(pick & 7) as usize];
            let byte = if pick & 8 != 0 { if byte & 128 != 0 { 255 } else { 0 } } else { byte };
            r | byte << (8 * n)
        })
    });
    for (position, length) in [(0, 8), (16, 16), (4, 0), (28, 8), (0, 32), (40, 3)] {
        let text = format!("bfi.b32 %r31, %r1, %r2, {position}, {length};\nmov.b32");
        check_after(&text, B, &[B, B], "%r31", move |a, b, _| insert(w(a), w(b), position, length, 32));
        let text = format!(
            "mov.b32 %r32, {position};\nmov.b32 %r33, {length};\nbfi.b64 %rd40, %rd11, %rd12, %r32, %r33;\nmov.b64"
        );
        check_after(&text, D, &[D, D], "%rd40", move |a, b, _| insert(a, b, position, length, 64));
    }
}

fn extract(a: u64, b: u64, c: u64, width: u64, signed: bool) -> u64 {
    let (position, length) = (b & 255, c & 255);
    let bit = |n: u64| if n < width { a >> n & 1 } else { 0 };
    let top = (position + length).wrapping_sub(1).min(width - 1);
    let sign = if signed && length > 0 { bit(top) } else { 0 };
    (0..width).fold(0, |r, n| {
        let inside = n < length && position + n < width;
        r | (if inside { bit(position + n) } else { sign }) << n
    })
}

fn insert(a: u64, b: u64, position: u64, length: u64, width: u64) -> u64 {
    (0..width).fold(0, |r, n| {
        let inside = n >= position && n - position < length;
        r | (if inside { a >> (n - position) & 1 } else { b >> n & 1 }) << n
    })
}
