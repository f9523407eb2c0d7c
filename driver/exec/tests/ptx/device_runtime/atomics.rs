//! Atomics of vectors, of floats and of 128 bits.

use proptest::prelude::*;

use super::{LANES, threads, words};
use crate::common::{Shape, runner};

/// The reference of `min` and `max`: a number rather than a NaN, and -0 below +0.
fn pick(a: f32, b: f32, greater: bool) -> f32 {
    match (a.is_nan(), b.is_nan()) {
        (true, _) => b,
        (_, true) => a,
        _ if (a.total_cmp(&b) == std::cmp::Ordering::Greater) == greater => a,
        _ => b,
    }
}

#[test]
fn vector_and_float_atomics_work_on_each_element() {
    let float = || prop_oneof![any::<f32>(), Just(-0.0f32), Just(0.0), Just(f32::INFINITY), -9.0f32..9.0];
    let cases = (prop::collection::vec(float(), 8), prop::collection::vec(float(), 8), 0..4usize);
    let result = runner(80).run(&cases, |(old, by, form)| {
        let (instruction, count): (&str, usize) = [
            ("atom.global.add.v2.f32 {%f0,%f1}, [%rd1], {%f2,%f3}", 2),
            ("atom.global.add.v4.f32 {%f0,_,%f2,%f1}, [%rd1], {%f2,%f3,%f4,%f5}", 4),
            ("atom.global.min.f32 %f0, [%rd1], {%f2}", 1),
            ("atom.global.max.f32 {%f0}, [%rd1], %f2", 1),
        ][form];
        let mut body = String::new();
        for n in 0..4 {
            body += &format!("st.global.b32 [%rd1+{}], {};\n", 4 * n, old[n].to_bits());
            body += &format!("mov.b32 %f{}, 0f{:08x};\n", 2 + n, by[n].to_bits());
        }
        body += &format!("mov.b32 %f0, 0f00000000;\nmov.b32 %f1, 0f00000000;\n{instruction};\n");
        for n in 0..3 {
            body += &format!("st.global.f32 [%rd1+{}], %f{n};\n", 16 + 4 * n);
        }
        let seen = words(&threads("", &body), Shape { block: [1; 3], ..Shape::default() }, 8, &[]);
        let flush = |x: f32| if x.is_subnormal() { 0f32.copysign(x) } else { x };
        let same = |bits: u32, value: f32| bits == value.to_bits() || value.is_nan() && f32::from_bits(bits).is_nan();
        for n in 0..4 {
            let new = match form {
                _ if n >= count => old[n],
                // PTX ISA, `atom`: `.add` of f32 in global memory flushes subnormals, operands and result.
                0 | 1 => flush(flush(old[n]) + flush(by[n])),
                2 => pick(old[n], by[n], false),
                _ => pick(old[n], by[n], true),
            };
            prop_assert!(same(seen[n], new), "element {n}: {:#x}, not {new}", seen[n]);
        }
        let returned = [[old[0], old[1], by[0]], [old[0], old[3], old[2]], [old[0], 0.0, by[0]], [old[0], 0.0, by[0]]];
        for n in 0..3 {
            prop_assert_eq!(seen[4 + n], returned[form][n].to_bits(), "register {}", n);
        }
        Ok(())
    });
    assert!(result.is_ok(), "{result:?}");
    // Halves: every lane raises the same four.
    let text = threads(
        "",
        "cvt.rn.f32.u32 %f1, %r0;\ncvt.rn.bf16.f32 %h1, %f1;\nmov.b16 %h2, 0;\n\
         setp.eq.u32 %p1, %r0, 0;\n@%p1 st.global.v4.b32 [%rd1], {0, 0, 0, 0};\nbar.warp.sync -1;\n\
         red.global.max.noftz.v4.bf16 [%rd1], {%h1, %h2, %h1, %h1};",
    );
    let seen = words(&text, Shape::default(), LANES, &[]);
    // 31 as bf16 is 0x41f8.
    assert_eq!(&seen[..2], &[0x0000_41f8, 0x41f8_41f8]);
}

#[test]
fn values_of_128_bits_move_whole() {
    let result = runner(40).run(&(any::<[u64; 6]>(), any::<bool>()), |(v, equal)| {
        let (old, compare) = ([v[0], v[1]], if equal { [v[0], v[1]] } else { [v[2], v[1]] });
        let body = format!(
            ".shared .align 16 .b8 s[16];\n\
             mov.b64 %rd2, {};\nmov.b64 %rd3, {};\nmov.b128 %q0, {{%rd2, %rd3}};\nst.global.b128 [%rd1], %q0;\n\
             ld.global.b128 %q1, [%rd1];\nst.shared.b128 [s], %q1;\n\
             mov.b64 %rd4, {};\nmov.b64 %rd5, {};\nmov.b128 %q2, {{%rd4, %rd5}};\n\
             mov.b64 %rd6, {};\nmov.b64 %rd7, {};\nmov.b128 %q3, {{%rd6, %rd7}};\n\
             atom.shared.cas.b128 %q4, [s], %q2, %q3;\nst.global.b128 [%rd1+16], %q4;\n\
             ld.shared.b128 %q5, [s];\nst.global.b128 [%rd1+32], %q5;\n\
             atom.global.exch.b128 %q6, [%rd1], %q3;\nmov.b128 {{%rd8, %rd9}}, %q6;\nmov.b128 {{%rd9, %rd8}}, %q6;\n\
             st.global.v2.b64 [%rd1+48], {{%rd8, %rd9}};",
            v[0], v[1], compare[0], compare[1], v[4], v[5]
        );
        let seen = words(&threads("", &body), Shape { block: [1; 3], ..Shape::default() }, 16, &[]);
        let pair = |n: usize| -> [u64; 2] {
            std::array::from_fn(|k| u64::from(seen[4 * n + 2 * k]) | u64::from(seen[4 * n + 2 * k + 1]) << 32)
        };
        let after = if compare == old { [v[4], v[5]] } else { old };
        prop_assert_eq!([pair(0), pair(1), pair(2), pair(3)], [[v[4], v[5]], old, after, [v[1], v[0]]]);
        Ok(())
    });
    assert!(result.is_ok(), "{result:?}");
}
