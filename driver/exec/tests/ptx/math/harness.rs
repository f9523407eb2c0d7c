//! A warp that reads words, runs a few instructions and writes words.

use graphproof_exec::Isa;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use crate::common::{self, Memory, Shape, launch, program_for};

/// Runs `body` on a warp. Word `n` of a lane's row of `inputs` is in `%r<n>`; the body leaves
/// `outputs` words in `%q<n>`. The same on every instruction set of the host.
pub fn warp(body: &str, inputs: &[Vec<u32>], outputs: usize) -> Vec<Vec<u32>> {
    let words = inputs[0].len();
    let mut text = String::from(
        ".version 8.7\n.target sm_90\n.address_size 64\n\
         .visible .entry k(.param .u64 out, .param .u64 in)\n{\n\
         .reg .pred %p<8>;\n.reg .b16 %h<16>;\n.reg .b32 %r<64>, %q<64>, %t<64>;\n.reg .b64 %d<64>;\n.reg .f32 %f<16>;\n\
         mov.u32 %t0, %tid.x;\nld.param.u64 %d0, [out];\nld.param.u64 %d1, [in];\n",
    );
    text += &format!("mad.wide.u32 %d0, %t0, {}, %d0;\nmad.wide.u32 %d1, %t0, {}, %d1;\n", 4 * outputs, 4 * words);
    for n in 0..words {
        text += &format!("ld.global.u32 %r{n}, [%d1+{}];\n", 4 * n);
    }
    text += body;
    for n in 0..outputs {
        text += &format!("\nst.global.u32 [%d0+{}], %q{n};", 4 * n);
    }
    text += "\nret;\n}\n";
    let flat: Vec<u32> = inputs.iter().flatten().copied().collect();
    let mut first: Option<Vec<u32>> = None;
    for isa in Isa::available() {
        let program = program_for(&text, isa);
        let mut memory = Memory::new();
        let values = [memory.words(&vec![0; outputs * inputs.len()]), memory.words(&flat)];
        let shape = Shape { block: [inputs.len() as u32, 1, 1], ..Shape::default() };
        launch(&program, shape, &memory, &values).unwrap_or_else(|fault| panic!("{fault}\n{body}"));
        let out = memory.read_words(0);
        match &first {
            Some(first) => assert_eq!(&out, first, "{isa:?} gives other bits than the baseline\n{body}"),
            None => first = Some(out),
        }
    }
    first.unwrap_or_default().chunks(outputs).map(<[u32]>::to_vec).collect()
}

/// Runs a property on values of `strategy`.
pub fn hold<S: Strategy>(cases: u32, strategy: S, property: impl Fn(S::Value)) {
    let mut runner: TestRunner = common::runner(cases);
    let result = runner.run(&strategy, |value| {
        property(value);
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}

/// `{%r4, %r5}`: registers `first..first + count` of a family.
pub fn list(family: &str, first: usize, count: usize) -> String {
    let names: Vec<String> = (first..first + count).map(|n| format!("%{family}{n}")).collect();
    format!("{{{}}}", names.join(", "))
}

/// Words that hurt: ends of ranges of every width, floats of every kind.
const EDGES: [u32; 32] = [
    0,
    1,
    2,
    31,
    32,
    33,
    0x7f,
    0x80,
    0xff,
    0x7fff,
    0x8000,
    0xffff,
    0x0001_0001,
    0x7c00_3c00,
    0xfc00_bc00,
    0x7f80_ff80,
    0x7fff_7fff,
    0x8000_7fff,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0x3f80_0000,
    0xbf80_0000,
    0x7f80_0000,
    0xff80_0000,
    0x7fc0_0000,
    0x0000_03ff,
    0x83ff_0400,
    0x807f_ffff,
    0x0080_0000,
    0x7f7f_ffff,
    0xffff_0000,
];

fn word() -> impl Strategy<Value = u32> {
    prop_oneof![
        3 => prop::sample::select(EDGES.to_vec()),
        3 => any::<u32>(),
        2 => (-600.0f32..600.0).prop_map(f32::to_bits),
        2 => (any::<f32>()).prop_map(f32::to_bits),
        1 => 0u32..64,
        1 => any::<i16>().prop_map(|x| i32::from(x) as u32),
        // Two halves of moderate size.
        1 => (0x3000u32..0x5400, 0xb000u32..0xd400).prop_map(|(a, b)| a << 16 | b),
    ]
}

/// Holds a body against a reference lane by lane; both get `inputs` words.
pub fn lanes(body: &str, inputs: usize, outputs: usize, reference: impl Fn(&[u32]) -> Vec<u32>) {
    hold(4, prop::collection::vec(prop::collection::vec(word(), inputs), 32), |rows| {
        for (lane, (row, found)) in rows.iter().zip(warp(body, &rows, outputs)).enumerate() {
            let expected = reference(row);
            assert_eq!(found, expected, "{body}\nlane {lane}: {row:x?} gives {found:x?}, the reference {expected:x?}");
        }
    });
}

/// As [`lanes`], for an instruction `text d, a, b, …` of words.
pub fn words(text: &str, inputs: usize, reference: impl Fn(&[u32]) -> u32) {
    let sources: Vec<String> = (0..inputs).map(|n| format!("%r{n}")).collect();
    lanes(&format!("{text} %q0, {};", sources.join(", ")), inputs, 1, |w| vec![reference(w)]);
}
