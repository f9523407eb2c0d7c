//! Conversions to and from 8-bit floats, `.satfinite`, tf32 and `cvt.pack`.

use proptest::prelude::*;

use super::formats::{BF16, E4M3, E5M2, F16, Format, TF32};
use super::harness::{hold, lanes, warp, words};

/// The nearest finite value of a format, ties to even; by trying every one.
fn nearest(format: Format, x: f64, nan: u64) -> u64 {
    if x.is_nan() {
        return nan;
    }
    let Format::Float(e, f, _) = format else { panic!("a float") };
    let sign = u64::from(x.is_sign_negative()) << (e + f);
    let mut best = (f64::INFINITY, 0);
    for bits in 0..1u64 << (e + f) {
        let value = format.value(bits);
        let off = (value - x.abs().min(1e6)).abs();
        if value.is_finite() && (off < best.0 || (off == best.0 && bits % 2 == 0)) {
            best = (off, bits);
        }
    }
    sign | best.1
}

fn single(w: u32) -> f64 {
    f64::from(f32::from_bits(w))
}

fn relu(on: bool, bits: u64, sign: u32, nan: u64) -> u64 {
    if on && bits >> sign & 1 != 0 && bits != nan { 0 } else { bits }
}

#[test]
fn to_eight_bits() {
    for (name, format) in [("e4m3", E4M3), ("e5m2", E5M2)] {
        for on in [false, true] {
            let dot = if on { ".relu" } else { "" };
            let byte = |x: f64| relu(on, nearest(format, x, 0x7f), 7, 0x7f) as u32;
            lanes(
                &format!(
                    "mov.b32 %f0, %r0;\nmov.b32 %f1, %r1;\ncvt.rn.satfinite{dot}.{name}x2.f32 %h0, %f0, %f1;\n\
                     cvt.u32.u16 %q0, %h0;\ncvt.rn.satfinite{dot}.{name}x2.f16x2 %h1, %r2;\ncvt.u32.u16 %q1, %h1;"
                ),
                3,
                2,
                |w| {
                    let [low, high] = [w[2] & 0xffff, w[2] >> 16].map(|h| F16.value(h.into()));
                    vec![byte(single(w[0])) << 8 | byte(single(w[1])), byte(high) << 8 | byte(low)]
                },
            );
        }
    }
}

#[test]
fn from_eight_bits() {
    for (name, format) in [("e4m3", E4M3), ("e5m2", E5M2)] {
        for on in [false, true] {
            let dot = if on { ".relu" } else { "" };
            let half = |byte: u32| {
                let x = format.value(byte.into());
                if x.is_nan() {
                    0x7fff
                } else if x.is_infinite() {
                    if x > 0.0 {
                        0x7c00
                    } else if on {
                        0
                    } else {
                        0xfc00
                    }
                } else {
                    relu(on && x < 0.0, F16.exact(x), 15, 0x7fff) as u32
                }
            };
            lanes(&format!("cvt.u16.u32 %h0, %r0;\ncvt.rn{dot}.f16x2.{name}x2 %q0, %h0;"), 1, 1, |w| {
                vec![half(w[0] >> 8 & 255) << 16 | half(w[0] & 255)]
            });
        }
    }
}

#[test]
fn halves_without_infinities() {
    for (name, format, largest) in [("f16", F16, 0x7bffu32), ("bf16", BF16, 0x7f7f)] {
        for on in [false, true] {
            let dot = if on { ".relu" } else { "" };
            let half = |w: u32| {
                let x = single(w);
                if x.is_nan() {
                    return 0x7fff;
                }
                let sign = if w >> 31 != 0 { 0x8000 } else { 0 };
                // Truncated: the largest value not beyond it.
                let cut = (0..=largest).rev().find(|&b| format.value(b.into()) <= x.abs()).unwrap_or(0);
                if on && x <= 0.0 { 0 } else { sign | cut }
            };
            lanes(
                &format!(
                    "mov.b32 %f0, %r0;\nmov.b32 %f1, %r1;\ncvt.rz{dot}.satfinite.{name}x2.f32 %q0, %f0, %f1;\n\
                     cvt.rz{dot}.satfinite.{name}.f32 %h0, %f0;\ncvt.u32.u16 %q1, %h0;"
                ),
                2,
                2,
                |w| vec![half(w[0]) << 16 | half(w[1]), half(w[0])],
            );
        }
    }
}

#[test]
fn tf32() {
    let cut = |w: u32, rounding: &str, finite: bool, on: bool| {
        let x = single(w);
        if x.is_nan() {
            // Measured on an H200: the plain form cuts a NaN as any other bits.
            return if rounding == "rna" && !finite { w & !0x1fff } else { 0x7fff_ffff };
        }
        let magnitude = w & 0x7fff_ffff;
        let low = magnitude & !0x1fff;
        let rest = magnitude & 0x1fff;
        let up = match rounding {
            "rna" => rest >= 0x1000,
            "rn" => rest > 0x1000 || (rest == 0x1000 && low & 0x2000 != 0),
            _ => false,
        };
        let r = if up { low + 0x2000 } else { low };
        let r = if finite && r == 0x7f80_0000 { 0x7f7f_e000 } else { r };
        assert!(TF32.value(r.into()) >= 0.0);
        if on && w >> 31 != 0 { 0 } else { r | (w & 0x8000_0000) }
    };
    for (rounding, finite, on) in [
        ("rna", false, false),
        ("rna", true, false),
        ("rn", false, false),
        ("rn", false, true),
        ("rz", false, false),
        ("rz", false, true),
    ] {
        let dots = format!("{}{}", if finite { ".satfinite" } else { "" }, if on { ".relu" } else { "" });
        lanes(&format!("mov.b32 %f0, %r0;\ncvt.{rounding}{dots}.tf32.f32 %q0, %f0;"), 1, 1, |w| {
            vec![cut(w[0], rounding, finite, on)]
        });
    }
}

#[test]
fn integers_packed() {
    for (name, bits) in [("u16", 16), ("s16", 16), ("u8", 8), ("s8", 8), ("u4", 4), ("s4", 4), ("u2", 2), ("s2", 2)] {
        let clamped = |w: u32| {
            let x = i64::from(w as i32);
            let x = if name.starts_with('s') {
                x.max(-(1i64 << (bits - 1))).min((1i64 << (bits - 1)) - 1)
            } else {
                x.max(0).min((1i64 << bits) - 1)
            };
            x as u32 % (1u32 << bits)
        };
        let pair = |w: &[u32]| clamped(w[0]) << bits | clamped(w[1]);
        if bits == 16 {
            words(&format!("cvt.pack.sat.{name}.s32"), 2, pair);
        } else {
            words(&format!("cvt.pack.sat.{name}.s32.b32"), 3, |w| pair(w) | w[2] << (2 * bits));
        }
    }
}

/// `cvt` takes sources that are wider than its types, of which the low half counts.
#[test]
fn packing_takes_wider_sources() {
    // Inputs in the low halves, others above them.
    let wide = |inputs: usize| -> String {
        (0..inputs).map(|n| format!("mov.b64 %d{}, {{%r{n}, %r{}}};\n", 4 + n, (n + 1) % inputs)).collect()
    };
    let both = |text: &str, inputs: usize| {
        let narrow: Vec<String> = (0..inputs).map(|n| format!("%r{n}")).collect();
        let doubles: Vec<String> = (0..inputs).map(|n| format!("%d{}", 4 + n)).collect();
        let (narrow, doubles) = (narrow.join(", "), doubles.join(", "));
        let body = format!("{}{text} %q0, {narrow};\n{text} %q1, {doubles};", wide(inputs));
        hold(4, prop::collection::vec(prop::collection::vec(any::<u32>(), inputs), 32), |rows| {
            for found in warp(&body, &rows, 2) {
                assert_eq!(found[0], found[1], "{body}");
            }
        });
    };
    both("cvt.pack.sat.s16.s32", 2);
    both("cvt.pack.sat.u8.s32.b32", 3);
    both("cvt.rn.f16x2.f32", 2);
    both("cvt.rn.relu.f16x2.f32", 2);
}
