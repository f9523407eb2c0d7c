//! Elements of arrays by index (PTX ISA, "Arrays as Operands"), against where they lie.

use graphproof_exec::{Isa, Program};
use proptest::prelude::*;

use crate::common::{Memory, Shape, launch, program_for, runner};

/// The distance of `a[index]` behind `a`, and what is read back from `a[index]` after it was written there, for an
/// array in `space`.
fn element(space: &str, bits: u32, index: i64, displacement: i64, value: u64) -> (u64, u64) {
    let (class, register) = match bits {
        8 | 16 => (16, "%rs1"),
        32 => (32, "%r1"),
        _ => (64, "%rd1"),
    };
    let text = format!(
        ".version 8.0\n.target sm_80\n.address_size 64\n.visible .entry k(.param .u64 out)\n{{\n.reg .b16 %rs<4>;\n\
         .reg .b32 %r<4>;\n.reg .b64 %rd<8>;\n.{space} .align 8 .b{bits} a[16];\nld.param.u64 %rd7, [out];\n\
         mov.u64 %rd2, a;\nmov.u64 %rd3, a[{index}]{displacement:+};\nsub.s64 %rd4, %rd3, %rd2;\nst.global.u64 [%rd7], %rd4;\n\
         mov.u64 %rd1, {value};\ncvt.u16.u64 %rs1, %rd1;\ncvt.u32.u64 %r1, %rd1;\nst.{space}.b{bits} a[{index}], {register};\n\
         mov.b{class} {register}, 0;\nld.{space}.b{bits} {register}, a[{index}];\n{}\nst.global.u64 [%rd7+8], %rd1;\nret;\n}}\n",
        match class {
            16 => "cvt.u64.u16 %rd1, %rs1;",
            32 => "cvt.u64.u32 %rd1, %r1;",
            _ => "",
        }
    );
    let program = program_for(&text, Isa::Baseline);
    let mut memory = Memory::new();
    let out = memory.doubles(&[0; 2]);
    launch(&program, Shape::default(), &memory, &[out]).expect("it runs");
    let seen = memory.read_doubles(0);
    (seen[0], seen[1])
}

#[test]
fn an_element_lies_its_index_times_its_size_behind_the_array() {
    let case = (prop::sample::select(vec!["shared", "local"]), 3u32..7, 0i64..16, -8i64..8, any::<u64>());
    runner(64)
        .run(&case, |(space, log, index, displacement, value)| {
            let bits = 1 << log;
            let (distance, read) = element(space, bits, index, displacement, value);
            prop_assert_eq!(distance as i64, index * i64::from(bits / 8) + displacement);
            prop_assert_eq!(read, if bits == 64 { value } else { value & ((1 << bits) - 1) });
            Ok(())
        })
        .expect("as the ISA says");
}

#[test]
fn an_index_that_is_no_constant_refuses_its_entry_alone() {
    let text = ".version 8.0\n.target sm_80\n.address_size 64\n.global .b32 a[4];\n.global .b32 b[2][2];\n\
                .visible .entry good() { .reg .b64 %rd<2>; mov.u64 %rd1, a[3]; ret; }\n\
                .visible .entry by_register() { .reg .b64 %rd<2>; .reg .b32 %r<2>; mov.u64 %rd1, a[%r1]; ret; }\n\
                .visible .entry of_two() { .reg .b64 %rd<2>; mov.u64 %rd1, b[1]; ret; }\n";
    let program = Program::load(text).expect("it is PTX");
    let refused: Vec<String> =
        program.refusals().into_iter().map(|(entry, _)| program.entries[entry].name.clone()).collect();
    assert_eq!(refused, ["by_register", "of_two"]);
}
