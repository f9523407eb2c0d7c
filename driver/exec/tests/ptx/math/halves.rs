//! `set`, `setp`, `min`, `max` and signs of halves; packed integers; `lop3` with a predicate.

use super::formats::{BF16, F16, F32, Format};
use super::harness::{lanes, words};

const COMPARISONS: [&str; 14] =
    ["eq", "ne", "lt", "le", "gt", "ge", "equ", "neu", "ltu", "leu", "gtu", "geu", "num", "nan"];

/// A comparison by name, from the order of the two.
fn holds(name: &str, a: f64, b: f64) -> bool {
    use std::cmp::Ordering::{Equal, Greater, Less};
    let order = a.partial_cmp(&b);
    match name {
        "num" => order.is_some(),
        "nan" => order.is_none(),
        _ => match order {
            None => name.ends_with('u'),
            Some(Less) => name.starts_with("lt") || name.starts_with("le") || name.starts_with("ne"),
            Some(Equal) => name.starts_with("eq") || name.starts_with("le") || name.starts_with("ge"),
            Some(Greater) => name.starts_with("gt") || name.starts_with("ge") || name.starts_with("ne"),
        },
    }
}

/// The value of a half, its subnormals zero with `.ftz`.
fn value(format: Format, bits: u32, ftz: bool) -> f64 {
    let x = format.value(bits.into());
    let least = if format == BF16 { f64::from(f32::MIN_POSITIVE) } else { 2f64.powi(-14) };
    if ftz && x.abs() < least { 0.0 } else { x }
}

/// Two registers of halves in `%h0` and `%h1`.
const HALVES: &str = "cvt.u16.u32 %h0, %r0;\ncvt.u16.u32 %h1, %r1;\n";

#[test]
fn set_of_one_half() {
    for (ty, format) in [("f16", F16), ("bf16", BF16)] {
        for name in COMPARISONS {
            let ftz = ty == "f16" && name.len() == 2;
            let dot = if ftz { ".ftz" } else { "" };
            for (to, yes) in [("u32", u32::MAX), ("s32", u32::MAX), ("f32", 0x3f80_0000)] {
                let destination = if to == "f32" { "%f0" } else { "%q0" };
                let after = if to == "f32" { "mov.b32 %q0, %f0;" } else { "" };
                lanes(&format!("{HALVES}set.{name}{dot}.{to}.{ty} {destination}, %h0, %h1;\n{after}"), 2, 1, |w| {
                    let (a, b) = (value(format, w[0] & 0xffff, ftz), value(format, w[1] & 0xffff, ftz));
                    vec![if holds(name, a, b) { yes } else { 0 }]
                });
            }
            for (to, yes) in [("u16", 0xffff), ("s16", 0xffff), ("f16", 0x3c00), ("bf16", 0x3f80)] {
                for combine in ["", ".and", ".or", ".xor"] {
                    let with = if combine.is_empty() { "" } else { ", !%p0" };
                    lanes(
                        &format!(
                            "{HALVES}setp.ne.u32 %p0, %r2, 0;\nset.{name}{combine}{dot}.{to}.{ty} %h2, %h0, %h1{with};\n\
                             cvt.u32.u16 %q0, %h2;"
                        ),
                        3,
                        1,
                        |w| {
                            let (a, b) = (value(format, w[0] & 0xffff, ftz), value(format, w[1] & 0xffff, ftz));
                            vec![if combined(combine, holds(name, a, b), w[2] == 0) { yes } else { 0 }]
                        },
                    );
                }
            }
        }
    }
}

fn combined(how: &str, t: bool, c: bool) -> bool {
    match how {
        ".and" => t && c,
        ".or" => t || c,
        ".xor" => t != c,
        _ => t,
    }
}

/// A half from a comparison of other types.
#[test]
fn set_of_a_half_from_any_type() {
    lanes(
        "set.lt.f16.s32 %h0, %r0, %r1;\ncvt.u32.u16 %q0, %h0;\nset.ge.bf16.u32 %h1, %r0, %r1;\ncvt.u32.u16 %q1, %h1;",
        2,
        2,
        |w| vec![if (w[0] as i32) < w[1] as i32 { 0x3c00 } else { 0 }, if w[0] >= w[1] { 0x3f80 } else { 0 }],
    );
    lanes("mov.b32 %f0, %r0;\nmov.b32 %f1, %r1;\nset.gtu.f16.f32 %h0, %f0, %f1;\ncvt.u32.u16 %q0, %h0;", 2, 1, |w| {
        let (a, b) = (F32.value(w[0].into()), F32.value(w[1].into()));
        vec![if holds("gtu", a, b) { 0x3c00 } else { 0 }]
    });
    lanes(
        "mov.b64 %d2, {%r0, %r1};\nmov.b64 %d3, {%r2, %r3};\nset.lt.f16.s64 %h0, %d2, %d3;\ncvt.u32.u16 %q0, %h0;",
        4,
        1,
        |w| {
            let wide = |low: u32, high: u32| (u64::from(high) << 32 | u64::from(low)) as i64;
            vec![if wide(w[0], w[1]) < wide(w[2], w[3]) { 0x3c00 } else { 0 }]
        },
    );
}

#[test]
fn packed_halves_compared() {
    for (ty, format, one) in [("f16x2", F16, 0x3c00), ("bf16x2", BF16, 0x3f80)] {
        for name in COMPARISONS {
            let ftz = ty == "f16x2" && name.len() == 3;
            let dot = if ftz { ".ftz" } else { "" };
            let both = move |w: &[u32]| {
                [0, 16].map(|s| {
                    holds(name, value(format, w[0] >> s & 0xffff, ftz), value(format, w[1] >> s & 0xffff, ftz))
                })
            };
            for (to, yes) in [(ty, one), ("u32", 0xffff), ("s32", 0xffff)] {
                words(&format!("set.{name}{dot}.{to}.{ty}"), 2, |w| {
                    let [low, high] = both(w);
                    (u32::from(low) * yes) | ((u32::from(high) * yes) << 16)
                });
                for combine in [".and", ".or", ".xor"] {
                    let text = format!("set.{name}{combine}{dot}.{to}.{ty} %q0, %r0, %r1, %p0;");
                    lanes(&format!("setp.ne.u32 %p0, %r2, 0;\n{text}"), 3, 1, |w| {
                        let [low, high] = both(w).map(|t| u32::from(combined(combine, t, w[2] != 0)));
                        vec![(low * yes) | ((high * yes) << 16)]
                    });
                }
            }
            for combine in ["", ".and", ".or", ".xor"] {
                // The combining predicate is a destination too.
                let with = if combine.is_empty() { "" } else { ", %p1" };
                lanes(
                    &format!(
                        "setp.ne.u32 %p1, %r2, 0;\nsetp.{name}{combine}{dot}.{ty} %p1|%p2, %r0, %r1{with};\n\
                         selp.u32 %q0, 1, 0, %p1;\nselp.u32 %q1, 1, 0, %p2;"
                    ),
                    3,
                    2,
                    |w| both(w).map(|t| u32::from(combined(combine, t, w[2] != 0))).to_vec(),
                );
            }
        }
    }
}

/// `min` (`least`) or `max` of two, with the rules of PTX for NaN and zeros of two signs.
fn extreme(format: Format, a: u64, b: u64, least: bool, nan: u64, keep_nan: bool) -> u64 {
    let (x, y) = (format.value(a), format.value(b));
    match (x.is_nan(), y.is_nan()) {
        (true, true) => nan,
        (true, false) | (false, true) if keep_nan => nan,
        (true, false) => b,
        (false, true) => a,
        _ if (x.total_cmp(&y).is_lt()) == least => a,
        _ => b,
    }
}

fn with_signs(format: Format, a: u64, b: u64, least: bool, nan: u64, keep_nan: bool) -> u64 {
    let sign = 1 << (format.bits() - 1);
    let r = extreme(format, a & !sign, b & !sign, least, nan, keep_nan);
    if r == nan { nan } else { r | ((a ^ b) & sign) }
}

#[test]
fn extremes_with_the_sign_of_both() {
    for (name, least) in [("min", true), ("max", false)] {
        for keep in [false, true] {
            let dot = if keep { ".NaN" } else { "" };
            let text = format!(
                "mov.b32 %f0, %r0;\nmov.b32 %f1, %r1;\n{name}{dot}.xorsign.abs.f32 %f2, %f0, %f1;\nmov.b32 %q0, %f2;"
            );
            lanes(&text, 2, 1, |w| vec![with_signs(F32, w[0].into(), w[1].into(), least, 0x7fff_ffff, keep) as u32]);
            for (ty, format) in [("f16", F16), ("bf16", BF16)] {
                let half = |w: &[u32], s: u32| {
                    with_signs(format, (w[0] >> s & 0xffff).into(), (w[1] >> s & 0xffff).into(), least, 0x7fff, keep)
                        as u32
                };
                lanes(
                    &format!("{HALVES}{name}{dot}.xorsign.abs.{ty} %h2, %h0, %h1;\ncvt.u32.u16 %q0, %h2;"),
                    2,
                    1,
                    |w| vec![half(w, 0)],
                );
                words(&format!("{name}{dot}.xorsign.abs.{ty}x2"), 2, |w| half(w, 0) | half(w, 16) << 16);
            }
        }
    }
}

#[test]
fn signs_of_halves() {
    let flushed = |h: u32| if h & 0x7c00 == 0 { h & 0x8000 } else { h };
    let both = |w: u32, f: &dyn Fn(u32) -> u32| f(w & 0xffff) | f(w >> 16) << 16;
    let or_nan = |h: u32, sign: u32| if F16.value(h.into()).is_nan() { 0x7fff } else { sign };
    words("neg.f16x2", 1, |w| both(w[0], &|h| or_nan(h, h ^ 0x8000)));
    words("abs.f16x2", 1, |w| both(w[0], &|h| or_nan(h, h & 0x7fff)));
    words("neg.ftz.f16x2", 1, |w| both(w[0], &|h| or_nan(h, flushed(h) ^ 0x8000)));
    words("abs.ftz.f16x2", 1, |w| both(w[0], &|h| or_nan(h, flushed(h) & 0x7fff)));
}

#[test]
fn packed_integers() {
    let both = |w: &[u32], f: &dyn Fn(u16, u16) -> u16| {
        [0, 16].iter().fold(0, |r, &s| r | u32::from(f((w[0] >> s) as u16, (w[1] >> s) as u16)) << s)
    };
    words("add.u16x2", 2, |w| both(w, &|a, b| a.wrapping_add(b)));
    words("add.s16x2", 2, |w| both(w, &|a, b| a.wrapping_add(b)));
    words("min.u16x2", 2, |w| both(w, &|a, b| if a < b { a } else { b }));
    words("max.u16x2", 2, |w| both(w, &|a, b| if a < b { b } else { a }));
    words("min.s16x2", 2, |w| both(w, &|a, b| if (a as i16) < b as i16 { a } else { b }));
    words("max.s16x2", 2, |w| both(w, &|a, b| if (a as i16) < b as i16 { b } else { a }));
    let relu = |x: u16| if (x as i16) < 0 { 0 } else { x };
    words("min.relu.s16x2", 2, |w| both(w, &|a, b| relu(if (a as i16) < b as i16 { a } else { b })));
    words("max.relu.s16x2", 2, |w| both(w, &|a, b| relu(if (a as i16) < b as i16 { b } else { a })));
    words("min.relu.s32", 2, |w| if (w[0] as i32) < 0 || (w[1] as i32) < 0 { 0 } else { w[0].min(w[1]) });
    words("max.relu.s32", 2, |w| i32::max(w[0] as i32, w[1] as i32).max(0) as u32);
    words("mad24.hi.sat.s32", 3, |w| {
        let low = |x: u32| i64::from((x << 8) as i32 >> 8);
        let sum = ((low(w[0]) * low(w[1])) >> 16) as i32;
        (i64::from(sum) + i64::from(w[2] as i32)).clamp(i32::MIN.into(), i32::MAX.into()) as u32
    });
}

#[test]
fn lop3_with_a_predicate() {
    let f = |w: &[u32], table: u32| {
        (0..32).fold(0, |r, n| {
            let index = (w[0] >> n & 1) << 2 | (w[1] >> n & 1) << 1 | (w[2] >> n & 1);
            r | (table >> index & 1) << n
        })
    };
    for table in [0x00, 0x80, 0x96, 0xfe] {
        for (name, or) in [("or", true), ("and", false)] {
            for negated in [false, true] {
                let (not, q) = (if negated { "!" } else { "" }, |w: &[u32]| (w[3] & 1 != 0) != negated);
                let expected = |w: &[u32]| if or { f(w, table) != 0 || q(w) } else { f(w, table) != 0 && q(w) };
                // The predicate that is read is the one that is written.
                lanes(
                    &format!(
                        "and.b32 %t1, %r3, 1;\nsetp.ne.u32 %p0, %t1, 0;\n\
                         lop3.{name}.b32 %q0|%p0, %r0, %r1, %r2, {table}, {not}%p0;\nselp.u32 %q1, 1, 0, %p0;"
                    ),
                    4,
                    2,
                    |w| vec![f(w, table), u32::from(expected(w))],
                );
                lanes(
                    &format!(
                        "and.b32 %t1, %r3, 1;\nsetp.ne.u32 %p0, %t1, 0;\n\
                         lop3.{name}.b32 _|%p1, %r0, %r1, %r2, {table}, {not}%p0;\nselp.u32 %q0, 1, 0, %p1;"
                    ),
                    4,
                    1,
                    |w| vec![u32::from(expected(w))],
                );
            }
        }
    }
}
