//! Forms whose bits PTX does not promise: how far two implementations are from each other.
//!
//! Each form has a kernel that applies it to a fixed list of inputs. The distance of two results is
//! counted in units in the last place (ulp) of the format; for `sin`, `cos` and `lg2`, whose results
//! go through zero, it is the absolute difference. NaN and NaN agree; NaN or an infinity and
//! something else are infinitely far.

use std::collections::BTreeMap;

use super::draw::Draw;
use super::forms::{Form, Kind, Slot, forms};
use super::inputs::{CELLS, region};
use super::table::APPROXIMATE;
use super::task::{Engine, Task};

/// Seeds from here on name the kernels of this file, so that their inputs differ from the others'.
const FIRST: u64 = 1 << 40;

/// Results of a form, one a thread.
pub const VALUES: usize = 2048;

/// Every form, in the order of the table.
pub fn all_forms() -> Vec<Form> {
    APPROXIMATE.iter().flat_map(forms).collect()
}

/// Whether the distance is absolute.
pub fn absolute(form: &str) -> bool {
    ["sin.", "cos.", "lg2."].iter().any(|name| form.starts_with(name))
}

/// The kernel of the `n`-th form.
pub fn task(n: usize, form: &Form) -> Task {
    let (seed, ty) = (FIRST + n as u64, form.to[0]);
    let raw = ty.raw().name;
    let per_cell = 64 / ty.bits;
    let place = region(ty.kind, ty.bits);
    let mut text = format!(
        ".visible .entry k{seed}(.param .u64 in, .param .u64 out, .param .u64 cells, .param .u32 p3, .param .u64 p4, \
         .param .u16 p5, .param .f32 p6, .param .align 8 .b8 p7[16])\n{{\n\t.reg .b32 %r<8>;\n\t.reg .b64 %d<8>;\n\t\
         .reg .{raw} %x<4>;\n\t.reg .f32 %f<4>;\n\tld.param.u64 %d0, [in];\n\tld.param.u64 %d1, [out];\n\tmov.u32 %r0, %ctaid.x;\n\tmov.u32 %r1, %tid.x;\n\t\
         mad.lo.u32 %r0, %r0, 256, %r1;\n\tmad.wide.u32 %d1, %r0, 8, %d1;\n"
    );
    let sources = form.from.iter().filter(|slot| matches!(slot, Slot::Reg(_))).count();
    for source in 0..sources {
        // The inputs in order; a second operand from elsewhere.
        text.push_str(&format!(
            "\tmad.lo.u32 %r2, %r0, {}, {};\n\tand.b32 %r2, %r2, {};\n\tmad.wide.u32 %d2, %r2, {}, %d0;\n\t\
             ld.global.{raw} %x{source}, [%d2+{}];\n",
            if source == 0 { 1 } else { 677 },
            5 * source,
            CELLS * per_cell - 1,
            ty.bits / 8,
            place * CELLS * 8
        ));
        if absolute(&form.name) && !form.name.starts_with("lg2") {
            // The promise holds near zero only: whole turns are another's work.
            text.push_str(&format!(
                "\tand.b32 %x{source}, %x{source}, 0x80ffffff;\n\tor.b32 %x{source}, %x{source}, 0x38000000;\n\
                 \tmov.b32 %f0, %x{source};\n\tmin.f32 %f0, %f0, 0f42C80000;\n\tmax.f32 %f0, %f0, 0fC2C80000;\n\
                 \tmov.b32 %x{source}, %f0;\n"
            ));
        }
    }
    let from: Vec<String> = (0..sources).map(|n| format!("%x{n}")).collect();
    text.push_str(&format!("\t{} %x3, {};\n", form.name, from.join(", ")));
    text.push_str(&format!(
        "\tmov.u64 %d3, 0;\n\tst.global.u64 [%d1], %d3;\n\tst.global.{raw} [%d1], %x3;\n\tret;\n}}\n"
    ));
    Task {
        seed,
        entry: format!("k{seed}"),
        text,
        grid: [VALUES as u32 / 256, 1, 1],
        block: [256, 1, 1],
        shared: 0,
        output: 8 * VALUES,
    }
}

/// The results of every form, by its name; `Err` with the reason for one that did not run.
pub fn results(engine: &mut dyn Engine) -> BTreeMap<String, Result<Vec<u64>, String>> {
    let forms = all_forms();
    let tasks: Vec<Task> = forms.iter().enumerate().map(|(n, form)| task(n, form)).collect();
    let answers = engine.run(&tasks);
    let full = forms.iter().zip(answers).map(|(form, (answer, mut words))| {
        words.truncate(VALUES);
        (form.name.clone(), if words.len() == VALUES { Ok(words) } else { Err(format!("{answer:?}")) })
    });
    full.collect()
}

/// The positions of the values that a record keeps.
pub fn sample(count: usize) -> Vec<usize> {
    let mut draw = Draw::new(0, 9);
    (0..count).map(|_| draw.below(VALUES)).collect()
}

/// How far `b` is from `a`, results of `form`.
pub fn distance(form: &Form, a: u64, b: u64) -> f64 {
    let ty = form.to[0];
    match ty.kind {
        Kind::F16x2 | Kind::Bf16x2 => {
            let kind = if ty.kind == Kind::F16x2 { Kind::F16 } else { Kind::Bf16 };
            [0, 16]
                .map(|shift| of_kind(kind, a >> shift & 0xffff, b >> shift & 0xffff, false))
                .into_iter()
                .fold(0.0, f64::max)
        }
        kind => of_kind(kind, a, b, absolute(&form.name)),
    }
}

fn of_kind(kind: Kind, a: u64, b: u64, absolute: bool) -> f64 {
    let (exponent, fraction) = match kind {
        Kind::F64 => (11, 52),
        Kind::F16 => (5, 10),
        Kind::Bf16 => (8, 7),
        _ => (8, 23),
    };
    let top = ((1u64 << exponent) - 1) << fraction;
    let magnitude = |bits: u64| bits & ((1 << (exponent + fraction)) - 1);
    if magnitude(a) > top || magnitude(b) > top {
        return if magnitude(a) > top && magnitude(b) > top { 0.0 } else { f64::INFINITY };
    }
    if a == b {
        return 0.0;
    }
    if magnitude(a) == top || magnitude(b) == top {
        return f64::INFINITY;
    }
    if absolute {
        return (f64::from(f32::from_bits(a as u32)) - f64::from(f32::from_bits(b as u32))).abs();
    }
    // In order of value: negative numbers run backwards.
    let order = |bits: u64| {
        if bits >> (exponent + fraction) & 1 == 1 { -(magnitude(bits) as i128) } else { magnitude(bits) as i128 }
    };
    (order(a) - order(b)).unsigned_abs() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_those_of_the_format() {
        let bits = |x: f32| u64::from(x.to_bits());
        assert_eq!(of_kind(Kind::F32, bits(1.0), bits(1.0f32.next_up()), false), 1.0);
        assert_eq!(of_kind(Kind::F32, bits(-0.0), bits(0.0), false), 0.0);
        assert_eq!(of_kind(Kind::F32, bits(f32::NAN), bits(-f32::NAN), false), 0.0);
        assert_eq!(of_kind(Kind::F32, bits(f32::INFINITY), bits(1.0), false), f64::INFINITY);
        assert_eq!(of_kind(Kind::F32, bits(f32::NAN), bits(1.0), true), f64::INFINITY);
        assert_eq!(of_kind(Kind::F32, bits(0.25), bits(0.5), true), 0.25);
        assert_eq!(of_kind(Kind::F16, 0x3c00, 0x3c03, false), 3.0);
    }
}
