//! What kernels ask of more than one instruction: barriers that count, asynchronous copies, atomics of
//! vectors and of 128 bits, calls by address, the stack, the heap, printing, and a grid that waits for
//! itself. Each against a scalar reference.

mod atomics;
mod barriers;
mod calls;
mod memory;
mod printing;

use crate::common::{Memory, Shape, launch, program_for};
use graphproof_exec::Isa;

const LANES: usize = 32;

/// Runs `text` on every instruction set of the host; gives the `count` words of its output.
fn words(text: &str, shape: Shape, count: usize, inputs: &[u64]) -> Vec<u32> {
    let mut all = Vec::new();
    for isa in Isa::available() {
        let mut memory = Memory::new();
        let mut values = vec![memory.words(&vec![0xdead_beef; count])];
        values.extend(inputs);
        if let Err(fault) = launch(&program_for(text, isa), shape, &memory, &values) {
            panic!("{isa:?}: {fault}\n{text}");
        }
        all.push(memory.read_words(0));
    }
    assert!(all.windows(2).all(|pair| pair[0] == pair[1]), "the instruction sets differ");
    all.remove(0)
}

const HEADER: &str = ".version 8.0\n.target sm_90\n.address_size 64\n";
const REGISTERS: &str = ".reg .pred %p<16>;\n.reg .b16 %h<16>;\n.reg .b32 %r<64>;\n.reg .f32 %f<32>;\n.reg .b64 %rd<64>;\n.reg .b128 %q<8>;\n";

/// A kernel `k(out)` with the thread's number in `%r0` and the address of its word in `%rd0`.
fn threads(declarations: &str, body: &str) -> String {
    format!(
        "{HEADER}{declarations}\n.visible .entry k(.param .u64 out)\n{{\n{REGISTERS}\
         mov.u32 %r0, %tid.x;\nmov.u32 %r1, %ctaid.x;\nmov.u32 %r2, %ntid.x;\nmad.lo.s32 %r0, %r1, %r2, %r0;\n\
         ld.param.u64 %rd1, [out];\nmul.wide.u32 %rd0, %r0, 4;\nadd.s64 %rd0, %rd0, %rd1;\n{body}\nret;\n}}\n"
    )
}
