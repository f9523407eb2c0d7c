//! What sm_90a has: mbarriers with copies, tensor maps, products of warpgroups, clusters.

mod async_copies;
mod clusters;
mod interleaved;
mod misuse;
mod products;
mod tensors;

use graphproof_exec::{Fault, Program};

use crate::common::{Memory, Shape, launch, program};

/// A module for sm_90a with one kernel `k`.
pub fn text(parameters: &str, shared: &str, body: &str) -> String {
    format!(
        ".version 8.6\n.target sm_90a\n.address_size 64\n.visible .entry k({parameters})\n{{\n\
         .reg .pred %p<16>;\n.reg .b16 %h<16>;\n.reg .b32 %r<300>;\n.reg .f32 %f<300>;\n.reg .b64 %d<40>;\n\
         {shared}\nmov.u32 %r0, %tid.x;\n{body}\nret;\n}}\n"
    )
}

/// Runs `text` with one output of `words` words and inputs; gives the output.
pub fn run(text: &str, shape: Shape, words: usize, inputs: &[&[u8]]) -> Result<Vec<u32>, Fault> {
    run_program(&program(text), shape, words, inputs)
}

pub fn run_program(program: &Program, shape: Shape, words: usize, inputs: &[&[u8]]) -> Result<Vec<u32>, Fault> {
    let mut memory = Memory::new();
    let mut values = vec![memory.words(&vec![0xdead_beef; words])];
    values.extend(inputs.iter().map(|input| memory.put(input)));
    launch(program, shape, &memory, &values)?;
    Ok(memory.read_words(0))
}

/// The fault of a kernel that must have one, with every seed.
pub fn faults(text: &str, shape: Shape, inputs: &[&[u8]]) -> Vec<Fault> {
    let program = program(text);
    (0..6).map(|seed| run_program(&program, Shape { seed, ..shape }, 256, inputs).expect_err("a fault")).collect()
}

/// Waits for phase `parity` of the mbarrier at `address`, by all threads.
pub fn wait(address: &str, parity: u32) -> String {
    format!(
        "{{\n.reg .pred done;\nWAIT:\nmbarrier.try_wait.parity.shared::cta.b64 done, [{address}], {parity};\n\
         @!done bra WAIT;\n}}\n"
    )
}

/// Pseudo-random bytes.
pub fn bytes(count: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2).wrapping_add(1);
    let next = || {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        (state >> 33) as u8
    };
    std::iter::repeat_with(next).take(count).collect()
}
