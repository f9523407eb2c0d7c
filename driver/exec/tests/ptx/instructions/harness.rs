//! One instruction on the lanes of a warp, against a function of its operands.

use graphproof_exec::Isa;
use proptest::prelude::*;

use crate::common::{cells, kernel, runner};

/// Operand width, by register and load type.
#[derive(Clone, Copy, PartialEq)]
pub enum W {
    H,
    B,
    D,
    F,
    E,
    P,
}

impl W {
    pub fn register(self, n: usize) -> String {
        match self {
            W::H => format!("%rs{n}"),
            W::B => format!("%r{n}"),
            W::D => format!("%rd{}", n + 10),
            W::F => format!("%f{n}"),
            W::E => format!("%fd{n}"),
            W::P => format!("%p{n}"),
        }
    }
    pub fn load(self, n: usize, cell: usize) -> String {
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
    pub fn store(self, n: usize) -> String {
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
    pub fn constant(self, bits: u64) -> String {
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

pub fn value() -> impl Strategy<Value = u64> {
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
pub fn check(instruction: &str, d: W, sources: &[W], reference: impl Fn(u64, u64, u64) -> u64) {
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

/// As [`check`], where the instruction's result has to be moved from `from`.
pub fn check_after(text: &str, d: W, sources: &[W], from: &str, reference: impl Fn(u64, u64, u64) -> u64) {
    // The sources are still named after the move, so that `check` can append them: as comments.
    let text = format!("{text} {}, {from}; //", d.register(0).replace("%r0", "%r30"));
    check(&text, d, sources, reference);
}

pub fn f(bits: u64) -> f32 {
    f32::from_bits(bits as u32)
}

pub fn e(bits: u64) -> f64 {
    f64::from_bits(bits)
}

pub fn rf(x: f32) -> u64 {
    if x.is_nan() { 0x7fff_ffff } else { u64::from(x.to_bits()) }
}

pub fn re(x: f64) -> u64 {
    if x.is_nan() { 0xfff8_0000_0000_0000 } else { x.to_bits() }
}

/// The low word.
pub fn w(x: u64) -> u64 {
    x & 0xffff_ffff
}

pub fn s(x: u64) -> i64 {
    i64::from(x as u32 as i32)
}
