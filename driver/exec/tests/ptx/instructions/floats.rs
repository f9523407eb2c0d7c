//! Arithmetic of single and double precision.

use graphproof_exec::Isa;
use proptest::prelude::*;

use super::harness::W::{E, F, P};
use super::harness::{check, e, f, rf, value};
use crate::common::{cells, kernel, runner};

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

/// A double with a NaN's payload: the first NaN among the operands, quiet.
fn rn(x: f64, order: &[u64]) -> u64 {
    if !x.is_nan() {
        return x.to_bits();
    }
    order.iter().find(|&&b| e(b).is_nan()).map_or(0xfff8_0000_0000_0000, |b| b | 1 << 51)
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
