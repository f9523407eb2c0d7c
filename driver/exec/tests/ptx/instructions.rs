//! Every instruction against a scalar reference, on values that hurt, with all and with some
//! lanes active, with vector and with constant operands, on every instruction set of the host.

use crate::common::{cells, kernel, runner};
use graphproof_exec::Isa;
use proptest::prelude::*;

/// Operand width, by register and load type.
#[derive(Clone, Copy, PartialEq)]
enum W {
    H,
    B,
    D,
    F,
    E,
    P,
}

impl W {
    fn register(self, n: usize) -> String {
        match self {
            W::H => format!("%rs{n}"),
            W::B => format!("%r{n}"),
            W::D => format!("%rd{}", n + 10),
            W::F => format!("%f{n}"),
            W::E => format!("%fd{n}"),
            W::P => format!("%p{n}"),
        }
    }
    fn load(self, n: usize, cell: usize) -> String {
        let r = self.register(n);
        match self {
            W::H => format!("ld.global.u16 {r}, [%rd{cell}];\n"),
            W::B => format!("ld.global.u32 {r}, [%rd{cell}];\n"),
            W::D => format!("ld.global.u64 {r}, [%rd{cell}];\n"),
            W::F => format!("ld.global.f32 {r}, [%rd{cell}];\n"),
            W::E => format!("ld.global.f64 {r}, [%rd{cell}];\n"),
            W::P => format!("ld.global.u32 %r{}, [%rd{cell}];\nsetp.ne.u32 {r}, %r{}, 0;\n", n + 20, n + 20),
        }
    }
    fn store(self, n: usize) -> String {
        let r = self.register(n);
        match self {
            W::H => format!("cvt.u64.u16 %rd50, {r};\nst.global.u64 [%rd0], %rd50;\n"),
            W::B => format!("cvt.u64.u32 %rd50, {r};\nst.global.u64 [%rd0], %rd50;\n"),
            W::D => format!("st.global.u64 [%rd0], {r};\n"),
            W::F => format!("mov.b32 %r50, {r};\ncvt.u64.u32 %rd50, %r50;\nst.global.u64 [%rd0], %rd50;\n"),
            W::E => format!("st.global.f64 [%rd0], {r};\n"),
            W::P => format!("selp.u32 %r50, 1, 0, {r};\ncvt.u64.u32 %rd50, %r50;\nst.global.u64 [%rd0], %rd50;\n"),
        }
    }
    /// A constant operand with these bits.
    fn constant(self, bits: u64) -> String {
        match self {
            W::H => format!("{}", bits as u16),
            W::B => format!("0x{:x}", bits as u32),
            W::D => format!("0x{bits:x}"),
            W::F => format!("0f{:08X}", bits as u32),
            W::E => format!("0d{bits:016X}"),
            W::P => format!("{}", bits & 1),
        }
    }
}

const EDGES: [u64; 36] = [
    0,
    1,
    2,
    3,
    31,
    32,
    33,
    63,
    64,
    0x7f,
    0x80,
    0xff,
    0x7fff,
    0x8000,
    0xffff,
    0x3f80,
    0x7f80,
    0x7c00,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0x3f80_0000,
    0xbf80_0000,
    0x7f80_0000,
    0xff80_0000,
    0x7fc0_0000,
    0x0000_0001,
    0x807f_ffff,
    0x0080_0000,
    0x7f7f_ffff,
    0x3ff0_0000_0000_0000,
    0x7ff0_0000_0000_0000,
    0xfff8_0000_0000_0000,
    0x8000_0000_0000_0000,
    0xffff_ffff_ffff_ffff,
    0x000f_ffff_ffff_ffff,
];

fn value() -> impl Strategy<Value = u64> {
    prop_oneof![
        2 => proptest::sample::select(EDGES.to_vec()),
        2 => any::<u64>(),
        // Floats of moderate size, where rounding and cancellation happen.
        2 => (-1000.0f32..1000.0).prop_map(|x| u64::from(x.to_bits())),
        1 => (-1e6f64..1e6).prop_map(f64::to_bits),
        1 => 0u64..256,
        1 => any::<i8>().prop_map(|x| i64::from(x) as u64),
    ]
}

/// Tests `instruction d, a, b, c` against `reference`.
fn check(instruction: &str, d: W, sources: &[W], reference: impl Fn(u64, u64, u64) -> u64) {
    let loads: String = sources.iter().enumerate().map(|(n, w)| w.load(n + 1, n + 1)).collect();
    let mut runner = runner(6);
    let column = || proptest::collection::vec(value(), 32);
    let strategy = (column(), column(), column(), prop_oneof![Just(32usize), 1usize..32], any::<u32>(), 0usize..4);
    let result = runner.run(&strategy, |(a, b, c, lanes, guard, fixed)| {
        // One source may be a constant: the same value for all lanes.
        let mut columns = [a, b, c];
        let mut names: Vec<String> = sources.iter().enumerate().map(|(n, w)| w.register(n + 1)).collect();
        if fixed < sources.len() && sources[fixed] != W::P {
            let bits = columns[fixed][0];
            columns[fixed] = vec![bits; 32];
            names[fixed] = sources[fixed].constant(bits);
        }
        let [a, b, c] = columns.map(|mut v| {
            v.truncate(lanes);
            v
        });
        let body = format!(
            "{loads}mov.u32 %r40, {guard};\nshr.u32 %r41, %r40, %r0;\nand.b32 %r42, %r41, 1;\nsetp.eq.u32 %p10, %r42, 1;\n\
             @!%p10 bra END;\n{instruction} {}, {};\n{}END:\n",
            d.register(0).replace("%r0", "%r30").replace("%rs0", "%rs30"),
            names.join(", "),
            d.store(0).replace("%r0;", "%r30;").replace("%rs0;", "%rs30;"),
        );
        let text = kernel(&body);
        for isa in Isa::available() {
            let out = match cells(&text, isa, [&a, &b, &c]) {
                Ok(out) => out,
                Err(fault) => return Err(TestCaseError::fail(fault.to_string())),
            };
            for l in 0..lanes {
                let expected =
                    if guard >> l & 1 != 0 { reference(a[l], b[l], c[l]) } else { 0xabad_1dea_abad_1dea };
                prop_assert_eq!(
                    out[l], expected,
                    "{} of {:#x} {:#x} {:#x} on {:?}: {:#x}, reference {:#x}", instruction, a[l], b[l], c[l], isa, out[l], expected
                );
            }
        }
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}

fn f(bits: u64) -> f32 {
    f32::from_bits(bits as u32)
}
fn e(bits: u64) -> f64 {
    f64::from_bits(bits)
}
fn rf(x: f32) -> u64 {
    if x.is_nan() { 0x7fff_ffff } else { u64::from(x.to_bits()) }
}
fn re(x: f64) -> u64 {
    if x.is_nan() { 0xfff8_0000_0000_0000 } else { x.to_bits() }
}
/// A double with a NaN's payload: the first NaN among the operands, quiet.
fn rn(x: f64, order: &[u64]) -> u64 {
    if !x.is_nan() {
        return x.to_bits();
    }
    order.iter().find(|&&b| e(b).is_nan()).map_or(0xfff8_0000_0000_0000, |b| b | 1 << 51)
}
/// The low word.
fn w(x: u64) -> u64 {
    x & 0xffff_ffff
}
fn s(x: u64) -> i64 {
    i64::from(x as u32 as i32)
}

use W::{B, D, E, F, H, P};

#[test]
fn integers_of_32_bits() {
    check("add.s32", B, &[B, B], |a, b, _| w(a.wrapping_add(b)));
    check("sub.u32", B, &[B, B], |a, b, _| w(a.wrapping_sub(b)));
    check("mul.lo.u32", B, &[B, B], |a, b, _| w(w(a).wrapping_mul(w(b))));
    check("mul.hi.u32", B, &[B, B], |a, b, _| (w(a) * w(b)) >> 32);
    check("mul.hi.s32", B, &[B, B], |a, b, _| w(((s(a) * s(b)) >> 32) as u64));
    check("mul.wide.u32", D, &[B, B], |a, b, _| w(a) * w(b));
    check("mul.wide.s32", D, &[B, B], |a, b, _| (s(a) * s(b)) as u64);
    check("mad.lo.s32", B, &[B, B, B], |a, b, c| w(a.wrapping_mul(b).wrapping_add(c)));
    check("mad.hi.u32", B, &[B, B, B], |a, b, c| w(((w(a) * w(b)) >> 32) + w(c)));
    check("mad.wide.s32", D, &[B, B, D], |a, b, c| ((s(a) * s(b)) as u64).wrapping_add(c));
    check("mad.wide.u32", D, &[B, B, D], |a, b, c| (w(a) * w(b)).wrapping_add(c));
    check("div.u32", B, &[B, B], |a, b, _| if w(b) == 0 { 0xffff_ffff } else { w(a) / w(b) });
    check("div.s32", B, &[B, B], |a, b, _| if w(b) == 0 { 0xffff_ffff } else { w((s(a) / s(b)) as u64) });
    check("rem.u32", B, &[B, B], |a, b, _| if w(b) == 0 { w(a) } else { w(a) % w(b) });
    check("rem.s32", B, &[B, B], |a, b, _| if w(b) == 0 { w(a) } else { w((s(a) % s(b)) as u64) });
    check("min.s32", B, &[B, B], |a, b, _| w(s(a).min(s(b)) as u64));
    check("max.s32", B, &[B, B], |a, b, _| w(s(a).max(s(b)) as u64));
    check("min.u32", B, &[B, B], |a, b, _| w(a).min(w(b)));
    check("max.u32", B, &[B, B], |a, b, _| w(a).max(w(b)));
    check("abs.s32", B, &[B], |a, _, _| w(s(a).unsigned_abs()));
    check("neg.s32", B, &[B], |a, _, _| w(s(a).wrapping_neg() as u64));
    check("sad.s32", B, &[B, B, B], |a, b, c| w((s(a) - s(b)).unsigned_abs().wrapping_add(c)));
    check("sad.u32", B, &[B, B, B], |a, b, c| w(w(a).abs_diff(w(b)).wrapping_add(c)));
    check("add.sat.s32", B, &[B, B], |a, b, _| w((s(a) + s(b)).clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as u64));
    check("sub.sat.s32", B, &[B, B], |a, b, _| w((s(a) - s(b)).clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as u64));
    check("mul24.lo.u32", B, &[B, B], |a, b, _| w((a & 0xff_ffff) * (b & 0xff_ffff)));
    check("dp4a.u32.u32", B, &[B, B, B], |a, b, c| {
        w((0..4).fold(c, |t, n| t.wrapping_add((a >> (8 * n) & 255) * (b >> (8 * n) & 255))))
    });
    check("dp4a.s32.s32", B, &[B, B, B], |a, b, c| {
        let byte = |x: u64, n: u32| i64::from((x >> (8 * n)) as u8 as i8);
        w((0..4).fold(c as i64, |t, n| t.wrapping_add(byte(a, n) * byte(b, n))) as u64)
    });
}

#[test]
fn integers_of_other_widths() {
    let h = |x: u64| x & 0xffff;
    let t = |x: u64| i64::from(x as u16 as i16);
    check("add.s16", H, &[H, H], |a, b, _| h(a.wrapping_add(b)));
    check("mul.lo.s16", H, &[H, H], |a, b, _| h(a.wrapping_mul(b)));
    check("mul.wide.s16", B, &[H, H], |a, b, _| w((t(a) * t(b)) as u64));
    check("mul.wide.u16", B, &[H, H], |a, b, _| h(a) * h(b));
    check("min.s16", H, &[H, H], |a, b, _| h(t(a).min(t(b)) as u64));
    check("shr.s16", H, &[H, B], |a, b, _| h((t(a) >> w(b).min(15)) as u64));
    check("shl.b16", H, &[H, B], |a, b, _| if w(b) > 15 { 0 } else { h(a << w(b)) });
    check("not.b16", H, &[H], |a, _, _| h(!a));
    check("add.s64", D, &[D, D], |a, b, _| a.wrapping_add(b));
    check("sub.s64", D, &[D, D], |a, b, _| a.wrapping_sub(b));
    check("mul.lo.u64", D, &[D, D], |a, b, _| a.wrapping_mul(b));
    check("mul.hi.u64", D, &[D, D], |a, b, _| ((u128::from(a) * u128::from(b)) >> 64) as u64);
    check("mul.hi.s64", D, &[D, D], |a, b, _| ((i128::from(a as i64) * i128::from(b as i64)) >> 64) as u64);
    check("mad.lo.s64", D, &[D, D, D], |a, b, c| a.wrapping_mul(b).wrapping_add(c));
    check("div.u64", D, &[D, D], |a, b, _| a.checked_div(b).unwrap_or(u64::MAX));
    check("div.s64", D, &[D, D], |a, b, _| if b == 0 { u64::MAX } else { (a as i64).wrapping_div(b as i64) as u64 });
    check("rem.u64", D, &[D, D], |a, b, _| a.checked_rem(b).unwrap_or(a));
    check("rem.s64", D, &[D, D], |a, b, _| if b == 0 { a } else { (a as i64).wrapping_rem(b as i64) as u64 });
    check("min.s64", D, &[D, D], |a, b, _| (a as i64).min(b as i64) as u64);
    check("max.u64", D, &[D, D], |a, b, _| a.max(b));
    check("abs.s64", D, &[D], |a, _, _| (a as i64).unsigned_abs());
    check("neg.s64", D, &[D], |a, _, _| a.wrapping_neg());
}

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

/// As [`check`], where the instruction's result has to be moved from `from`.
fn check_after(text: &str, d: W, sources: &[W], from: &str, reference: impl Fn(u64, u64, u64) -> u64) {
    // The sources are still named after the move, so that `check` can append them: as comments.
    let text = format!("{text} {}, {from}; //", d.register(0).replace("%r0", "%r30"));
    check(&text, d, sources, reference);
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

#[test]
fn singles() {
    check("add.rn.f32", F, &[F, F], |a, b, _| rf(f(a) + f(b)));
    check("sub.f32", F, &[F, F], |a, b, _| rf(f(a) - f(b)));
    check("mul.rn.f32", F, &[F, F], |a, b, _| rf(f(a) * f(b)));
    check("fma.rn.f32", F, &[F, F, F], |a, b, c| rf(f(a).mul_add(f(b), f(c))));
    check("div.rn.f32", F, &[F, F], |a, b, _| rf(f(a) / f(b)));
    check("sqrt.rn.f32", F, &[F], |a, _, _| rf(f(a).sqrt()));
    check("rcp.rn.f32", F, &[F], |a, _, _| rf(1.0 / f(a)));
    check("neg.f32", F, &[F], |a, _, _| rf(f(a ^ 0x8000_0000)));
    check("abs.f32", F, &[F], |a, _, _| rf(f(a & 0x7fff_ffff)));
    check("min.f32", F, &[F, F], |a, b, _| extreme(f(a), f(b), true));
    check("max.f32", F, &[F, F], |a, b, _| extreme(f(a), f(b), false));
    check("max.NaN.f32", F, &[F, F], |a, b, _| {
        if f(a).is_nan() || f(b).is_nan() { 0x7fff_ffff } else { extreme(f(a), f(b), false) }
    });
    check("copysign.f32", F, &[F, F], |a, b, _| (a & 0x8000_0000) | (b & 0x7fff_ffff));
    let z = |x: u64| {
        let v = f(x);
        if v.is_subnormal() { 0f32.copysign(v) } else { v }
    };
    let zr = move |x: f32| rf(z(u64::from(x.to_bits())));
    check("add.ftz.f32", F, &[F, F], |a, b, _| zr(z(a) + z(b)));
    check("mul.ftz.f32", F, &[F, F], |a, b, _| zr(z(a) * z(b)));
    check("fma.rn.ftz.f32", F, &[F, F, F], |a, b, c| zr(z(a).mul_add(z(b), z(c))));
    check("add.sat.f32", F, &[F, F], |a, b, _| {
        let x = f(a) + f(b);
        rf(if x.is_nan() || x <= 0.0 { 0.0 } else { x.min(1.0) })
    });
    check("testp.subnormal.f32", P, &[F], |a, _, _| u64::from(f(a).is_subnormal()));
    check("testp.finite.f32", P, &[F], |a, _, _| u64::from(f(a).is_finite()));
    check("testp.notanumber.f32", P, &[F], |a, _, _| u64::from(f(a).is_nan()));
}

fn extreme(a: f32, b: f32, least: bool) -> u64 {
    match (a.is_nan(), b.is_nan()) {
        (true, true) => 0x7fff_ffff,
        (true, false) => u64::from(b.to_bits()),
        (false, true) => u64::from(a.to_bits()),
        // The total order of bits puts -0 before +0.
        _ if (a.total_cmp(&b) == std::cmp::Ordering::Less) == least => u64::from(a.to_bits()),
        _ => u64::from(b.to_bits()),
    }
}

#[test]
fn doubles() {
    check("add.rn.f64", E, &[E, E], |a, b, _| rn(e(a) + e(b), &[b, a]));
    check("sub.f64", E, &[E, E], |a, b, _| rn(e(a) - e(b), &[b, a]));
    check("mul.f64", E, &[E, E], |a, b, _| rn(e(a) * e(b), &[b, a]));
    check("fma.rn.f64", E, &[E, E, E], |a, b, c| rn(e(a).mul_add(e(b), e(c)), &[b, c, a]));
    check("div.rn.f64", E, &[E, E], |a, b, _| rn(e(a) / e(b), &[b, a]));
    check("sqrt.rn.f64", E, &[E], |a, _, _| rn(e(a).sqrt(), &[a]));
    check("neg.f64", E, &[E], |a, _, _| rn(-e(a), &[a ^ 1 << 63]));
    check("abs.f64", E, &[E], |a, _, _| rn(e(a).abs(), &[a & !(1 << 63)]));
}

/// Directed results bracket the nearest one, are neighbours of each other, and agree exactly
/// where the operation is exact.
#[test]
fn directed_roundings_bracket_the_nearest() {
    for (name, sources) in [("add", 2), ("mul", 2), ("div", 2), ("fma", 3), ("sqrt", 1), ("rcp", 1)] {
        let column = || proptest::collection::vec(value(), 32);
        let mut runner = runner(12);
        let result = runner.run(&(column(), column(), column()), |(a, b, c)| {
            for double in [false, true] {
                let (ty, width) = if double { ("f64", E) } else { ("f32", F) };
                let mut modes = Vec::new();
                for mode in ["rn", "rz", "rm", "rp"] {
                    let loads: String = (1..=sources).map(|n| width.load(n, n)).collect();
                    let names: Vec<String> = (1..=sources).map(|n| width.register(n)).collect();
                    let body = format!(
                        "{loads}{name}.{mode}.{ty} {}, {};\n{}",
                        width.register(0),
                        names.join(", "),
                        width.store(0)
                    );
                    let out = cells(&kernel(&body), Isa::detect(), [&a, &b, &c]);
                    modes.push(out.map_err(|f| TestCaseError::fail(f.to_string()))?);
                }
                for l in 0..32 {
                    let [n, z, d, u] = [0, 1, 2, 3].map(|m: usize| {
                        let bits = modes[m][l];
                        if double { e(bits) } else { f64::from(f(bits)) }
                    });
                    let what = format!(
                        "{name}.{ty} of {:#x} {:#x} {:#x}: rn {n:e} rz {z:e} rm {d:e} rp {u:e}",
                        a[l], b[l], c[l]
                    );
                    if n.is_nan() {
                        prop_assert!(z.is_nan() && d.is_nan() && u.is_nan(), "{}", what);
                        continue;
                    }
                    prop_assert!(d <= n && n <= u, "{}", what);
                    let up = if double { d.next_up() } else { f64::from((d as f32).next_up()) };
                    prop_assert!(d == u || up == u, "{}", what);
                    prop_assert_eq!(z, if n > 0.0 || (n == 0.0 && u > 0.0) { d } else { u }, "{}", what);
                }
            }
            Ok(())
        });
        if let Err(error) = result {
            panic!("{error}");
        }
    }
}

#[test]
fn comparisons() {
    check("setp.lt.s32", P, &[B, B], |a, b, _| u64::from(s(a) < s(b)));
    check("setp.hi.u32", P, &[B, B], |a, b, _| u64::from(w(a) > w(b)));
    check("setp.ne.b32", P, &[B, B], |a, b, _| u64::from(w(a) != w(b)));
    check("setp.eq.s64", P, &[D, D], |a, b, _| u64::from(a == b));
    check("setp.ge.u64", P, &[D, D], |a, b, _| u64::from(a >= b));
    check("setp.lt.s64", P, &[D, D], |a, b, _| u64::from((a as i64) < b as i64));
    check("setp.le.s16", P, &[H, H], |a, b, _| u64::from(a as i16 <= b as i16));
    check("setp.eq.f32", P, &[F, F], |a, b, _| u64::from(f(a) == f(b)));
    check("setp.ne.f32", P, &[F, F], |a, b, _| u64::from(f(a) < f(b) || f(a) > f(b)));
    check("setp.neu.f32", P, &[F, F], |a, b, _| u64::from(f(a) != f(b)));
    check("setp.equ.f32", P, &[F, F], |a, b, _| u64::from(f(a).is_nan() || f(b).is_nan() || f(a) == f(b)));
    check("setp.gt.f32", P, &[F, F], |a, b, _| u64::from(f(a) > f(b)));
    check("setp.leu.f32", P, &[F, F], |a, b, _| u64::from(f(a).is_nan() || f(b).is_nan() || f(a) <= f(b)));
    check("setp.gtu.f32", P, &[F, F], |a, b, _| u64::from(f(a).is_nan() || f(b).is_nan() || f(a) > f(b)));
    check("setp.num.f32", P, &[F, F], |a, b, _| u64::from(!f(a).is_nan() && !f(b).is_nan()));
    check("setp.nan.f64", P, &[E, E], |a, b, _| u64::from(e(a).is_nan() || e(b).is_nan()));
    check("setp.geu.f64", P, &[E, E], |a, b, _| u64::from(e(a).is_nan() || e(b).is_nan() || e(a) >= e(b)));
    check("setp.lt.and.s32", P, &[B, B, P], |a, b, c| u64::from(s(a) < s(b) && w(c) != 0));
    check("setp.lt.xor.s32", P, &[B, B, P], |a, b, c| u64::from((s(a) < s(b)) != (w(c) != 0)));
    check("selp.b32", B, &[B, B, P], |a, b, c| if w(c) != 0 { w(a) } else { w(b) });
    check("selp.f64", E, &[E, E, P], |a, b, c| if w(c) != 0 { a } else { b });
    check("slct.s32.s32", B, &[B, B, B], |a, b, c| if s(c) >= 0 { w(a) } else { w(b) });
    check("slct.b32.f32", B, &[B, B, F], |a, b, c| if f(c) >= 0.0 { w(a) } else { w(b) });
    check("set.lt.u32.s32", B, &[B, B], |a, b, _| if s(a) < s(b) { 0xffff_ffff } else { 0 });
    check("set.gt.f32.f32", F, &[F, F], |a, b, _| if f(a) > f(b) { 0x3f80_0000 } else { 0 });
    check("and.pred", P, &[P, P], |a, b, _| u64::from(w(a) != 0 && w(b) != 0));
    check("xor.pred", P, &[P, P], |a, b, _| u64::from((w(a) != 0) != (w(b) != 0)));
    check("not.pred", P, &[P], |a, _, _| u64::from(w(a) == 0));
}

/// The nearest value of a 16-bit format, by trying all of them; ties to even.
fn nearest_half(x: f64, decode: impl Fn(u16) -> f64, infinity: u16) -> u64 {
    if x.is_nan() {
        return 0x7fff;
    }
    let sign = u64::from(x.is_sign_negative()) << 15;
    let x = x.abs();
    let below = (0..infinity).rev().find(|&h| decode(h) <= x).unwrap_or(0);
    let (low, above) = (decode(below), below + 1);
    // One step above the largest finite value stands for infinity.
    let high = if above == infinity { 2.0 * low - decode(below - 1) } else { decode(above) };
    let bits = match (x - low).total_cmp(&(high - x)) {
        std::cmp::Ordering::Less => below,
        std::cmp::Ordering::Greater => above,
        std::cmp::Ordering::Equal => below + (below & 1),
    };
    sign | u64::from(bits)
}
fn half(h: u16) -> f64 {
    let (exponent, fraction) = (i32::from(h >> 10 & 31), f64::from(h & 1023));
    let x = match exponent {
        0 => fraction * 2f64.powi(-24),
        31 if h & 1023 == 0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (1.0 + fraction / 1024.0) * 2f64.powi(exponent - 15),
    };
    if h >> 15 != 0 { -x } else { x }
}
fn bhalf(h: u16) -> f64 {
    f64::from(f32::from_bits(u32::from(h) << 16))
}
fn to_f16(x: f64) -> u64 {
    nearest_half(x, half, 0x7c00)
}
fn to_bf16(x: f64) -> u64 {
    nearest_half(x, bhalf, 0x7f80)
}

#[test]
fn halves() {
    check("cvt.rn.f16.f32", H, &[F], |a, _, _| to_f16(f64::from(f(a))));
    check("cvt.rn.bf16.f32", H, &[F], |a, _, _| to_bf16(f64::from(f(a))));
    check("cvt.f32.f16", F, &[H], |a, _, _| rf(half(a as u16) as f32));
    check("cvt.f32.bf16", F, &[H], |a, _, _| (a & 0xffff) << 16);
    check("cvt.rn.bf16x2.f32", B, &[F, F], |a, b, _| to_bf16(f64::from(f(a))) << 16 | to_bf16(f64::from(f(b))));
    check("cvt.rn.f16x2.f32", B, &[F, F], |a, b, _| to_f16(f64::from(f(a))) << 16 | to_f16(f64::from(f(b))));
    check("add.f16", H, &[H, H], |a, b, _| to_f16(half(a as u16) + half(b as u16)));
    check("mul.rn.f16", H, &[H, H], |a, b, _| to_f16(half(a as u16) * half(b as u16)));
    check("mul.bf16", H, &[H, H], |a, b, _| to_bf16(bhalf(a as u16) * bhalf(b as u16)));
    check("add.f16x2", B, &[B, B], |a, b, _| {
        to_f16(half((a >> 16) as u16) + half((b >> 16) as u16)) << 16 | to_f16(half(a as u16) + half(b as u16))
    });
    check("neg.bf16", H, &[H], |a, _, _| if bhalf(a as u16).is_nan() { 0x7fff } else { (a ^ 0x8000) & 0xffff });
    check("setp.lt.f16", P, &[H, H], |a, b, _| u64::from(half(a as u16) < half(b as u16)));
    check("setp.gt.bf16", P, &[H, H], |a, b, _| u64::from(bhalf(a as u16) > bhalf(b as u16)));
}

#[test]
fn conversions() {
    check("cvt.u32.u16", B, &[H], |a, _, _| a & 0xffff);
    check("cvt.s32.s16", B, &[H], |a, _, _| w(a as i16 as u64));
    check("cvt.s64.s32", D, &[B], |a, _, _| s(a) as u64);
    check("cvt.u64.u32", D, &[B], |a, _, _| w(a));
    check("cvt.u32.u64", B, &[D], |a, _, _| w(a));
    check("cvt.u16.u32", H, &[B], |a, _, _| a & 0xffff);
    check("cvt.s8.s32", B, &[B], |a, _, _| w(a as i8 as u64));
    check("cvt.u8.u32", B, &[B], |a, _, _| a & 0xff);
    check("cvt.sat.u8.s32", B, &[B], |a, _, _| s(a).clamp(0, 255) as u64);
    check("cvt.sat.s16.s32", B, &[B], |a, _, _| w(s(a).clamp(-32768, 32767) as u64));
    check("cvt.sat.s32.s64", B, &[D], |a, _, _| w((a as i64).clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as u64));
    check("cvt.rn.f32.s32", F, &[B], |a, _, _| rf(s(a) as f32));
    check("cvt.rn.f32.u32", F, &[B], |a, _, _| rf(w(a) as f32));
    check("cvt.rn.f32.u64", F, &[D], |a, _, _| rf(a as f32));
    check("cvt.rn.f32.s64", F, &[D], |a, _, _| rf(a as i64 as f32));
    check("cvt.rn.f64.s32", E, &[B], |a, _, _| re(s(a) as f64));
    check("cvt.rn.f64.u64", E, &[D], |a, _, _| re(a as f64));
    check("cvt.rzi.s32.f32", B, &[F], |a, _, _| w(f(a) as i32 as u64));
    check("cvt.rni.s32.f32", B, &[F], |a, _, _| w(f(a).round_ties_even() as i32 as u64));
    check("cvt.rmi.s32.f32", B, &[F], |a, _, _| w(f(a).floor() as i32 as u64));
    check("cvt.rpi.u32.f32", B, &[F], |a, _, _| u64::from(f(a).ceil() as u32));
    check("cvt.rzi.u64.f64", D, &[E], |a, _, _| if e(a).is_nan() { 1 << 63 } else { e(a) as u64 });
    check("cvt.rzi.s64.f32", D, &[F], |a, _, _| if f(a).is_nan() { 1 << 63 } else { f(a) as i64 as u64 });
    check("cvt.rzi.s32.f64", B, &[E], |a, _, _| if e(a).is_nan() { 1 << 31 } else { w(e(a) as i32 as u64) });
    check("cvt.f64.f32", E, &[F], |a, _, _| {
        let nan = (a >> 31 & 1) << 63 | 0x7ff8_0000_0000_0000 | (a & 0x7f_ffff) << 29;
        if f(a).is_nan() { nan } else { re(f64::from(f(a))) }
    });
    check("cvt.rn.f32.f64", F, &[E], |a, _, _| {
        let nan = (a >> 63) << 31 | 0x7fc0_0000 | (a >> 29 & 0x7f_ffff);
        if e(a).is_nan() { nan } else { rf(e(a) as f32) }
    });
    check("cvt.rni.f32.f32", F, &[F], |a, _, _| rf(f(a).round_ties_even()));
    check("cvt.rzi.f32.f32", F, &[F], |a, _, _| rf(f(a).trunc()));
    check("cvt.sat.f32.f32", F, &[F], |a, _, _| rf(if f(a) > 0.0 { f(a).min(1.0) } else { 0.0 }));
    check("cvt.rn.f16.f64", H, &[E], |a, _, _| {
        let nan = (a >> 63) << 15 | 0x7e00 | (a >> 42 & 0x3ff);
        if e(a).is_nan() { nan } else { to_f16(e(a)) }
    });
}
