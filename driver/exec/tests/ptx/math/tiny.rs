//! Results at the ends of what a format holds: `.ftz` flushes what is tiny once it is rounded at any exponent, and sums
//! of doubles whose terms cancel are rounded like others. Bits as an H200 has them.

use proptest::prelude::*;

use super::harness::{hold, warp};

/// `x` rounded to `bits` bits at any exponent.
fn rounded(x: f64, bits: u32, mode: &str) -> f64 {
    let (drop, up) = (53 - bits, if x < 0.0 { "rm" } else { "rp" });
    let (whole, rest) = (x.to_bits() >> drop, x.to_bits() & ((1 << drop) - 1));
    let half = 1 << (drop - 1);
    let nearest = mode == "rn" && (rest > half || rest == half && whole & 1 == 1);
    f64::from_bits((whole + u64::from(nearest || mode == up && rest != 0)) << drop)
}

/// The bits of `x` as a single with `.ftz`.
fn single(x: f64, mode: &str) -> u32 {
    let r = rounded(x, 24, mode);
    if r.abs() < f64::from(f32::MIN_POSITIVE) { u32::from(x < 0.0) << 31 } else { (r as f32).to_bits() }
}

/// A number with twelve bits, so that a product of two and a sum with a third are exact in a double.
fn short(x: f64) -> f32 {
    f32::from_bits((x as f32).to_bits() & !0xfff)
}

/// About the least normal single, mostly within a few units of its last place.
fn near_least() -> impl Strategy<Value = f64> {
    let parts = prop_oneof![4 => -5.0..5.0f64, 1 => -1e5..1e5f64];
    (any::<bool>(), parts).prop_map(|(negative, part)| {
        let x = f64::from(f32::MIN_POSITIVE) * (1.0 + part * 2f64.powi(-25));
        if negative { -x } else { x }
    })
}

const MODES: [&str; 4] = ["rn", "rz", "rm", "rp"];

#[test]
fn what_is_tiny_once_it_is_rounded_is_flushed() {
    let lanes = || prop::collection::vec((near_least(), 1.0..2.0f64, 1u32..40), 32);
    for mode in MODES {
        hold(20, lanes(), |lanes| {
            // A conversion, of any double.
            let words: Vec<Vec<u32>> =
                lanes.iter().map(|(x, ..)| vec![x.to_bits() as u32, (x.to_bits() >> 32) as u32]).collect();
            let body = format!("mov.b64 %d2, {{%r0, %r1}};\ncvt.{mode}.ftz.f32.f64 %q0, %d2;");
            for ((x, ..), found) in lanes.iter().zip(warp(&body, &words, 1)) {
                assert_eq!(found[0], single(*x, mode), "cvt.{mode} of {x:e}");
            }
            // A product, whose factors have all their bits.
            let factors: Vec<[f32; 2]> = lanes
                .iter()
                .map(|&(x, a, k)| {
                    let a = (a * 2f64.powi(-40 - k as i32)) as f32;
                    [a, (x / f64::from(a)) as f32]
                })
                .collect();
            let words: Vec<Vec<u32>> = factors.iter().map(|row| row.map(f32::to_bits).to_vec()).collect();
            for ([a, b], found) in factors.iter().zip(warp(&format!("mul.{mode}.ftz.f32 %q0, %r0, %r1;"), &words, 1)) {
                assert_eq!(found[0], single(f64::from(*a) * f64::from(*b), mode), "mul.{mode} of {a:e} and {b:e}");
            }
            // A product and an addend of its size.
            let terms: Vec<[f32; 3]> = lanes
                .iter()
                .map(|&(x, a, k)| {
                    let a = short(a * 2f64.powi(-40 - k as i32));
                    let c = (2.0 * x) as f32;
                    [a, short((x - f64::from(c)) / f64::from(a)), c]
                })
                .collect();
            let words: Vec<Vec<u32>> = terms.iter().map(|row| row.map(f32::to_bits).to_vec()).collect();
            let body = format!("fma.{mode}.ftz.f32 %q0, %r0, %r1, %r2;");
            for ([a, b, c], found) in terms.iter().zip(warp(&body, &words, 1)) {
                let x = f64::from(*a).mul_add(f64::from(*b), f64::from(*c));
                assert_eq!(found[0], single(x, mode), "fma.{mode} of {a:e}, {b:e} and {c:e}");
            }
        });
    }
}

/// The bits of a half that has this value, which is none of the subnormal ones.
fn half(x: f64) -> u32 {
    let bits = x.to_bits();
    (bits >> 48 & 0x8000) as u32 | (((bits >> 52 & 0x7ff) as u32 + 15 - 1023) << 10) | (bits >> 42 & 0x3ff) as u32
}

#[test]
fn halves_that_are_tiny_once_they_are_rounded_are_flushed() {
    let least = 2f64.powi(-14);
    let lane = (any::<bool>(), -5.0..5.0f64, 1.0..2.0f64, 3i32..9);
    hold(60, prop::collection::vec(lane, 32), |lanes| {
        let factors: Vec<[f64; 2]> = lanes
            .into_iter()
            .map(|(negative, part, a, k)| {
                let a = rounded(if negative { -a } else { a } * 2f64.powi(-k), 11, "rn");
                [a, rounded(least * (1.0 + part * 2f64.powi(-12)) / a, 11, "rn")]
            })
            .collect();
        let words: Vec<Vec<u32>> = factors.iter().map(|row| row.map(half).to_vec()).collect();
        let body = "cvt.u16.u32 %h0, %r0;\ncvt.u16.u32 %h1, %r1;\nmul.rn.ftz.f16 %h2, %h0, %h1;\ncvt.u32.u16 %q0, %h2;";
        for ([a, b], found) in factors.iter().zip(warp(body, &words, 1)) {
            let x = rounded(a * b, 11, "rn");
            let expected = if x.abs() < least { u32::from(x < 0.0) << 15 } else { half(x) };
            assert_eq!(found[0], expected, "{a:e} times {b:e}");
        }
    });
}

/// What a product has lost to rounding is exact, in every direction.
#[test]
fn doubles_whose_terms_cancel_are_exact() {
    let factor = || (1.0..2.0f64, -200i32..200).prop_map(|(x, k)| x * 2f64.powi(k));
    for mode in MODES {
        hold(20, prop::collection::vec((factor(), factor(), 0u32..60), 32), |lanes| {
            // Of fewer bits, so that the rest has any number of them.
            let lanes =
                lanes.into_iter().map(|(a, b, bits)| (a, rounded(b, 52 - bits.min(50), "rz"))).collect::<Vec<_>>();
            let words: Vec<Vec<u32>> = lanes
                .iter()
                .map(|&(a, b)| {
                    [a, b, -(a * b)].iter().flat_map(|x| [x.to_bits() as u32, (x.to_bits() >> 32) as u32]).collect()
                })
                .collect();
            let body = format!(
                "mov.b64 %d2, {{%r0, %r1}};\nmov.b64 %d3, {{%r2, %r3}};\nmov.b64 %d4, {{%r4, %r5}};\n\
                 fma.{mode}.f64 %d5, %d2, %d3, %d4;\nmov.b64 {{%q0, %q1}}, %d5;"
            );
            for ((a, b), found) in lanes.into_iter().zip(warp(&body, &words, 2)) {
                let rest = a.mul_add(b, -(a * b));
                let expected = if rest == 0.0 && mode == "rm" { -0.0f64 } else { rest };
                let found = f64::from_bits(u64::from(found[0]) | u64::from(found[1]) << 32);
                assert_eq!(
                    found.to_bits(),
                    expected.to_bits(),
                    "fma.{mode} of {a:e} and {b:e}: {found:e}, {expected:e}"
                );
            }
        });
    }
}

/// An integer in a register wider than its type is extended by its sign.
#[test]
fn conversions_fill_wider_registers() {
    type Cut = fn(i64) -> i64;
    let types: [(&str, Cut); 4] = [
        ("s8", |v| i64::from(v as i8)),
        ("u8", |v| i64::from(v as u8)),
        ("s16", |v| i64::from(v as i16)),
        ("u16", |v| i64::from(v as u16)),
    ];
    for (to, cut) in types {
        for from in ["s32", "u32", "s64", "u64"] {
            hold(4, prop::collection::vec(any::<[u32; 2]>(), 32), |lanes| {
                let words: Vec<Vec<u32>> = lanes.iter().map(|words| words.to_vec()).collect();
                let source = if from.ends_with("32") { "%r0" } else { "%d2" };
                let body = format!(
                    "mov.b64 %d2, {{%r0, %r1}};\ncvt.{to}.{from} %q0, {source};\ncvt.{to}.{from} %d3, {source};\n\
                     mov.b64 {{%q1, %q2}}, %d3;"
                );
                for (words, found) in lanes.iter().zip(warp(&body, &words, 3)) {
                    let value = cut(i64::from(words[0])) as u64;
                    let expected = vec![value as u32, value as u32, (value >> 32) as u32];
                    assert_eq!(found, expected, "cvt.{to}.{from} of {words:x?}");
                }
            });
        }
    }
}
