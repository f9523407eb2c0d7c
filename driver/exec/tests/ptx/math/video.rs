//! The video instructions, in random forms, against the pseudocode of the PTX ISA, and against an H200 where
//! that leaves open how wide a result is between two operations.

use proptest::prelude::*;

use super::harness::{hold, lanes};

const PARTS: [&str; 7] = ["", ".b0", ".b1", ".b2", ".b3", ".h0", ".h1"];

/// `partSelectSignExtend`.
fn part(word: u32, selector: &str, signed: bool) -> i128 {
    let bytes = word.to_le_bytes();
    let picked: Vec<u8> = match selector {
        "" => bytes.to_vec(),
        ".h0" => bytes[..2].to_vec(),
        ".h1" => bytes[2..].to_vec(),
        other => vec![bytes[other[2..].parse::<usize>().unwrap()]],
    };
    number(&picked, signed)
}

/// The number that these bytes spell, lowest first.
fn number(bytes: &[u8], signed: bool) -> i128 {
    let value = bytes.iter().rev().fold(0i128, |v, &b| v * 256 + i128::from(b));
    if signed && bytes[bytes.len() - 1] >= 128 { value - (1i128 << (8 * bytes.len())) } else { value }
}

fn ends(bits: u32, signed: bool) -> (i128, i128) {
    if signed { (-(1i128 << (bits - 1)), (1i128 << (bits - 1)) - 1) } else { (0, (1i128 << bits) - 1) }
}

fn width(selector: &str) -> u32 {
    match selector {
        "" => 32,
        ".h0" | ".h1" => 16,
        _ => 8,
    }
}

fn compare(name: &str, a: i128, b: i128) -> bool {
    match name {
        "eq" => a == b,
        "ne" => a != b,
        "lt" => a < b,
        "le" => a <= b,
        "gt" => a > b,
        _ => a >= b,
    }
}

fn ty(signed: bool) -> &'static str {
    if signed { "s32" } else { "u32" }
}

fn one_of(names: &[&'static str]) -> impl Strategy<Value = &'static str> {
    prop::sample::select(names.to_vec())
}

#[test]
fn scalars() {
    let operations = one_of(&["vadd", "vsub", "vabsdiff", "vmin", "vmax", "vshl", "vshr", "vset"]);
    let strategy = (
        operations,
        any::<[bool; 4]>(),
        one_of(&PARTS),
        one_of(&PARTS),
        one_of(&PARTS),
        one_of(&["", ".add", ".min", ".max"]),
        one_of(&[".clamp", ".wrap"]),
        one_of(&["eq", "ne", "lt", "le", "gt", "ge"]),
    );
    hold(150, strategy, |(name, [d, a, b, sat], into, a_part, b_part, second, mode, cmp)| {
        let shifts = matches!(name, "vshl" | "vshr");
        let (d, b) = (d && name != "vset", b && !shifts);
        let sat = sat && name != "vset";
        let second = if into.is_empty() { second } else { "" };
        let types = if name == "vset" {
            format!("{}.{}.{cmp}", ty(a), ty(b))
        } else {
            format!("{}.{}.{}", ty(d), ty(a), ty(b))
        };
        let third = if into.is_empty() && second.is_empty() { "" } else { ", %r2" };
        let text = format!(
            "{name}.{types}{}{}{second} %q0{into}, %r0{a_part}, %r1{b_part}{third};",
            if sat { ".sat" } else { "" },
            if shifts { mode } else { "" }
        );
        lanes(&text, 3, 1, |w| {
            let (x, y) = (part(w[0], a_part, a), part(w[1], b_part, b));
            let by = if mode == ".wrap" { y % 32 } else { y.min(32) };
            let mut t = match name {
                "vadd" => x + y,
                "vsub" => x - y,
                "vabsdiff" => (x - y).abs(),
                "vmin" => x.min(y),
                "vmax" => x.max(y),
                "vshl" => x * (1i128 << by),
                "vshr" => x.div_euclid(1i128 << by),
                _ => i128::from(compare(cmp, x, y)),
            };
            let cut = |t: i128, bits: u32, signed: bool| {
                let low = t.rem_euclid(1i128 << bits);
                if signed && low >> (bits - 1) == 1 { low - (1i128 << bits) } else { low }
            };
            let sum = matches!(name, "vadd" | "vsub");
            let (low, high) = ends(width(into), d);
            if !into.is_empty() {
                // A part is cut from a word.
                t = cut(t, 32, d);
                t = if sat { t.max(low).min(high) } else { t };
            } else if sat && shifts {
                t = cut(cut(t, 34, true).max(low).min(high), 32, true);
            } else if sat {
                t = if d { t.max(low).min(high) } else { t.max(0) };
            }
            if into.is_empty() && sum {
                t = cut(t, 32, true);
            }
            let c = part(w[2], "", d);
            let doubleword = |t: i128| cut(t, 64, d);
            t = match second {
                ".add" => t + c,
                ".min" if doubleword(c) < doubleword(t) => c,
                ".max" if doubleword(c) > doubleword(t) => c,
                _ => t,
            };
            let t = t.rem_euclid(1i128 << 32) as u32;
            let mut merged = w[2].to_le_bytes();
            match into {
                "" => return vec![t],
                ".h0" => merged[..2].copy_from_slice(&t.to_le_bytes()[..2]),
                ".h1" => merged[2..].copy_from_slice(&t.to_le_bytes()[..2]),
                byte => merged[byte[2..].parse::<usize>().unwrap()] = t as u8,
            }
            vec![u32::from_le_bytes(merged)]
        });
    });
}

#[test]
fn multiplications() {
    let strategy = (any::<[bool; 7]>(), one_of(&PARTS), one_of(&PARTS), one_of(&["", ".shr7", ".shr15"]));
    hold(100, strategy, |([d, a, b, sat, plus, negative, third], a_part, b_part, scale)| {
        // At most one of these.
        let (negative, third) = (negative && !plus, third && !plus && !negative);
        let minus = |on: bool| if on { "-" } else { "" };
        let text = format!(
            "vmad.{}.{}.{}{}{}{scale} %q0, {}%r0{a_part}, %r1{b_part}, {}%r2;",
            ty(d),
            ty(a),
            ty(b),
            if plus { ".po" } else { "" },
            if sat { ".sat" } else { "" },
            minus(negative),
            minus(third)
        );
        lanes(&text, 3, 1, |w| {
            let signed = a || b || negative || third;
            // A whole word is signed, whatever its type.
            let product = part(w[0], a_part, a || a_part.is_empty()) * part(w[1], b_part, b || b_part.is_empty());
            let c = part(w[2], "", true);
            let sum = match (plus, negative, third) {
                (true, ..) => product + c + 1,
                (_, true, _) => c - product,
                (.., true) => product - c,
                _ => product + c,
            };
            let by = match scale {
                ".shr7" => 128,
                ".shr15" => 32768,
                _ => 1,
            };
            let wide = if signed { sum } else { sum.rem_euclid(1i128 << 64) };
            let mut r = wide.div_euclid(by);
            if sat {
                let (low, high) = ends(32, signed);
                // Unshifted, the sum is below zero and not beyond all words.
                r = if by == 1 { sum } else { r }.max(low).min(high);
            }
            vec![r.rem_euclid(1i128 << 32) as u32]
        });
    });
}

#[test]
fn parts_of_words() {
    let names = one_of(&["vadd", "vsub", "vavrg", "vabsdiff", "vmin", "vmax", "vset"]);
    let strategy = (
        names,
        any::<bool>(),
        any::<[bool; 5]>(),
        prop::option::of(prop::collection::vec(0usize..8, 4)),
        prop::option::of(prop::collection::vec(0usize..8, 4)),
        prop::option::of(1u32..16),
        one_of(&["eq", "ne", "lt", "le", "gt", "ge"]),
    );
    hold(150, strategy, |(name, four, [d, a, b, sat, add], a_pick, b_pick, mask, cmp)| {
        let parts = if four { 4 } else { 2 };
        let d = d && name != "vset";
        let sat = sat && !add && name != "vset";
        let pick = |pick: &Option<Vec<usize>>| {
            pick.as_ref().map(|p| p[..parts].iter().map(|n| n % (2 * parts)).collect::<Vec<_>>())
        };
        let (a_pick, b_pick) = (pick(&a_pick), pick(&b_pick));
        let letter = if four { 'b' } else { 'h' };
        // The highest part is written first.
        let digits = |p: &[usize]| format!(".{letter}{}", p.iter().rev().map(usize::to_string).collect::<String>());
        let selector = |p: &Option<Vec<usize>>| p.as_ref().map_or(String::new(), |p| digits(p));
        let mask = mask.map(|m| m % (1 << parts)).filter(|m| *m != 0);
        let named: Vec<usize> = (0..parts).filter(|n| mask.is_none_or(|m| m >> n & 1 != 0)).collect();
        let types = if name == "vset" {
            format!("{}.{}.{cmp}", ty(a), ty(b))
        } else {
            format!("{}.{}.{}", ty(d), ty(a), ty(b))
        };
        let text = format!(
            "{name}{parts}.{types}{}{} %q0{}, %r0{}, %r1{}, %r2;",
            if sat { ".sat" } else { "" },
            if add { ".add" } else { "" },
            if mask.is_some() { digits(&named) } else { String::new() },
            selector(&a_pick),
            selector(&b_pick)
        );
        let bytes = 4 / parts;
        lanes(&text, 3, 1, |w| {
            let source: Vec<u8> = w[0].to_le_bytes().into_iter().chain(w[1].to_le_bytes()).collect();
            let element = |n: usize, signed: bool| number(&source[n * bytes..(n + 1) * bytes], signed);
            let mut total = i128::from(w[2]);
            let mut merged = w[2].to_le_bytes();
            for &n in &named {
                let x = element(a_pick.as_ref().map_or(n, |p| p[n]), a);
                let y = element(b_pick.as_ref().map_or(n + parts, |p| p[n]), b);
                let mut t = match name {
                    "vadd" => x + y,
                    "vsub" => x - y,
                    "vavrg" if x + y >= 0 => (x + y + 1).div_euclid(2),
                    "vavrg" => (x + y).div_euclid(2),
                    "vabsdiff" => (x - y).abs(),
                    "vmin" => x.min(y),
                    "vmax" => x.max(y),
                    _ => i128::from(compare(cmp, x, y)),
                };
                if sat {
                    let (low, high) = ends(8 * bytes as u32, d);
                    t = t.max(low).min(high);
                }
                total += t;
                let word = t.rem_euclid(1i128 << 32) as u32;
                merged[n * bytes..(n + 1) * bytes].copy_from_slice(&word.to_le_bytes()[..bytes]);
            }
            vec![if add { total.rem_euclid(1i128 << 32) as u32 } else { u32::from_le_bytes(merged) }]
        });
    });
}
