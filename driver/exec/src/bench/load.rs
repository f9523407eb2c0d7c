//! What loading a big module costs.

use std::fmt::Write;
use std::time::{Duration, Instant};

use crate::{Program, PtxError};

/// Entries of the module that is measured.
pub const ENTRIES: usize = 160;
/// Bytes of its text.
pub const BYTES: usize = 14_700_000;

/// What [`load`] measured.
#[derive(Debug, Clone, Copy)]
pub struct LoadBench {
    /// Bytes of the text.
    pub bytes: usize,
    /// To parse it: what `cuModuleLoadData` waits for.
    pub load: Duration,
    /// Entries that were decoded then.
    pub decoded: usize,
    /// To decode one entry: what the first launch waits for.
    pub first: Duration,
    /// To decode the others, on all processors.
    pub others: Duration,
}

/// Loads a module of [`ENTRIES`] entries and `BYTES` bytes, of the instructions that compiled CUDA
/// code is made of.
///
/// # Errors
/// None is expected.
pub fn load() -> Result<LoadBench, PtxError> {
    let text = module(ENTRIES, BYTES);
    let start = Instant::now();
    let program = Program::load(&text)?;
    let load = start.elapsed();
    let decoded = program.decoded();
    let start = Instant::now();
    if let Some(entry) = program.entries.get(ENTRIES / 2) {
        entry.kernel().map_err(Clone::clone)?;
    }
    let first = start.elapsed();
    let start = Instant::now();
    if let Some((_, error)) = program.refusals().into_iter().next() {
        return Err(error);
    }
    Ok(LoadBench { bytes: text.len(), load, decoded, first, others: start.elapsed() })
}

/// PTX text of `entries` kernels, each a loop over blocks of unrolled code, as long as asked for.
pub fn module(entries: usize, bytes: usize) -> String {
    let mut text = String::with_capacity(bytes + bytes / entries.max(1));
    text.push_str(".version 8.0\n.target sm_80\n.address_size 64\n");
    for entry in 0..entries {
        let end = (entry + 1) * (bytes / entries);
        kernel(&mut text, entry, end);
    }
    text
}

fn kernel(text: &mut String, number: usize, end: usize) {
    // Writing to a `String` does not fail.
    let _ = write!(
        text,
        "\n.visible .entry kernel_{number}(\n\t.param .u64 kernel_{number}_param_0,\n\t.param .u64 \
         kernel_{number}_param_1,\n\t.param .u32 kernel_{number}_param_2\n)\n.maxntid 256, 1, 1\n{{\n\t.reg .pred \
         \t%p<5000>;\n\t.reg .b32 \t%r<20000>;\n\t.reg .f32 \t%f<20000>;\n\t.reg .b64 \t%rd<20000>;\n\t.shared .align \
         16 .b8 tile_{number}[4096];\n\n\tld.param.u64 \t%rd1, [kernel_{number}_param_0];\n\tld.param.u64 \t%rd2, \
         [kernel_{number}_param_1];\n\tld.param.u32 \t%r1, [kernel_{number}_param_2];\n\tmov.u32 \t%r2, \
         %tid.x;\n\tmov.u32 \t%r3, 0;\n\tmov.f32 \t%f1, 0f00000000;\n\n"
    );
    let mut n = 10;
    while text.len() < end {
        let (p, r, f, d) = (n / 10, n, n, n);
        let _ = write!(
            text,
            "$L__BB{number}_{n}:\n\tadd.s32 \t%r{r}, %r2, {n};\n\tmul.wide.s32 \t%rd{d}, %r{r}, 4;\n\tadd.s64 \
             \t%rd{}, %rd1, %rd{d};\n\tld.global.nc.f32 \t%f{f}, [%rd{}+{}];\n\tfma.rn.f32 \t%f{}, %f{f}, 0f3F800000, \
             %f1;\n\tand.b32 \t%r{}, %r{r}, 255;\n\tshl.b32 \t%r{}, %r{}, 2;\n\tmov.u32 \t%r{}, tile_{number};\n\tadd.s32 \
             \t%r{}, %r{}, %r{};\n\tst.shared.f32 \t[%r{}], %f{};\n\tbar.sync \t0;\n\tld.shared.f32 \t%f{}, \
             [%r{}+4];\n\tmax.f32 \t%f1, %f{}, %f{};\n\tsetp.gt.s32 \t%p{p}, %r1, {n};\n\t@%p{p} bra \
             \t$L__BB{number}_{};\n\n\tadd.s64 \t%rd{}, %rd2, %rd{d};\n\tst.global.f32 \t[%rd{}], %f1;\n\n",
            d + 1,
            d + 1,
            4 * (n % 64),
            f + 1,
            r + 1,
            r + 2,
            r + 1,
            r + 3,
            r + 4,
            r + 3,
            r + 2,
            r + 4,
            f + 1,
            f + 2,
            r + 4,
            f + 2,
            f + 1,
            n + 10,
            d + 2,
            d + 2,
        );
        n += 10;
    }
    let _ = write!(text, "$L__BB{number}_{n}:\n\tret;\n}}\n");
}
