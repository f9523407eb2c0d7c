//! What the execution tests share: device memory for a launch, and single-instruction kernels.
#![allow(dead_code, reason = "each test crate uses its part")]

use std::cell::Cell;
use std::sync::atomic::AtomicBool;

use graphproof_exec::texture::Texture;
use graphproof_exec::{
    ExecStats, Fault, Isa, Kernel, Launch, LaunchConfig, MemoryMap, MemoryRange, Pool, Program, run,
};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

/// What to do a `count` of times; one in `GRAPHPROOF_CASES_DIVISOR` of them, where a memory checker makes
/// each some forty times slower. What is left over of one call counts for the next of the same thread, so
/// that a property of many forms runs on some of them; the first call has one at least.
pub fn fewer(count: u32) -> u32 {
    thread_local! {
        static DUE: Cell<Option<u32>> = const { Cell::new(None) };
    }
    let divisor = divisor();
    DUE.with(|due| {
        let total = due.get().unwrap_or(divisor - 1) + count;
        due.set(Some(total % divisor));
        total / divisor
    })
}

fn divisor() -> u32 {
    std::env::var("GRAPHPROOF_CASES_DIVISOR").map_or(1, |text| text.parse().expect("a number"))
}

/// So many blocks that wait for each other; a few under a memory checker, since each waits for all turns of
/// the others.
pub fn waiting_blocks(count: u32) -> u32 {
    if divisor() > 1 { count.min(8) } else { count }
}

/// So many ways to run it; the first two, of one host thread, under a memory checker, which lets one thread run
/// at a time.
pub fn fewer_hosts(count: usize) -> usize {
    if divisor() > 1 { count.min(2) } else { count }
}

/// Runs a property on so many cases, the same in every run; see [`fewer`].
pub fn runner(cases: u32) -> TestRunner {
    let config = Config { cases: fewer(cases), failure_persistence: None, ..Config::default() };
    TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha))
}

/// Host memory that stands for device memory.
pub struct Memory {
    buffers: Vec<Vec<u64>>,
    ranges: Vec<MemoryRange>,
}

impl Memory {
    pub fn new() -> Self {
        Self { buffers: Vec::new(), ranges: Vec::new() }
    }

    /// Allocates a copy of `bytes`; gives its device address.
    pub fn put(&mut self, bytes: &[u8]) -> u64 {
        let base = 0x7_0000_0000 + self.buffers.len() as u64 * 0x100_0000;
        self.put_at(base, bytes);
        base
    }

    /// Allocates a copy of `bytes` at the device address `base`, behind all others.
    pub fn put_at(&mut self, base: u64, bytes: &[u8]) {
        let mut buffer = vec![0u64; bytes.len().div_ceil(8).max(1)];
        for (n, &byte) in bytes.iter().enumerate() {
            buffer[n / 8] |= u64::from(byte) << (8 * (n % 8));
        }
        let host = buffer.as_mut_ptr().cast();
        self.buffers.push(buffer);
        self.ranges.push(MemoryRange { base, len: bytes.len() as u64, host });
    }

    pub fn words(&mut self, words: &[u32]) -> u64 {
        self.put(&words.iter().flat_map(|w| w.to_le_bytes()).collect::<Vec<_>>())
    }

    pub fn doubles(&mut self, words: &[u64]) -> u64 {
        self.put(&words.iter().flat_map(|w| w.to_le_bytes()).collect::<Vec<_>>())
    }

    pub fn map(&self) -> MemoryMap {
        MemoryMap { ranges: self.ranges.clone().into() }
    }

    /// Reads the `n`-th allocation back.
    pub fn read_words(&self, n: usize) -> Vec<u32> {
        let len = self.ranges[n].len as usize / 4;
        self.buffers[n].iter().flat_map(|w| [*w as u32, (w >> 32) as u32]).take(len).collect()
    }

    pub fn read_doubles(&self, n: usize) -> Vec<u64> {
        self.buffers[n].clone()
    }
}

/// How a test launches.
#[derive(Clone, Copy)]
pub struct Shape {
    pub grid: [u32; 3],
    pub block: [u32; 3],
    pub cluster: [u32; 3],
    pub shared: u32,
    pub seed: u64,
    pub threads: usize,
    pub resident: u64,
}

impl Default for Shape {
    fn default() -> Self {
        Self { grid: [1; 3], block: [32, 1, 1], cluster: [1; 3], shared: 0, seed: 0, threads: 1, resident: 1024 }
    }
}

pub fn parameters(values: &[u64]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

/// Runs the first kernel of `program` with 64-bit parameters.
pub fn launch(program: &Program, shape: Shape, memory: &Memory, values: &[u64]) -> Result<ExecStats, Fault> {
    launch_entry(program.entries[0].kernel().expect("an executed kernel"), shape, memory, values)
}

/// As [`launch`], with the addresses of the program's globals.
pub fn launch_with_globals(
    program: &Program,
    shape: Shape,
    memory: &Memory,
    values: &[u64],
    globals: &[u64],
) -> Result<ExecStats, Fault> {
    run_kernel(program.entries[0].kernel().expect("an executed kernel"), shape, memory, values, globals, &[])
}

/// As [`launch`], with texture and surface objects.
pub fn launch_with_textures(
    program: &Program,
    shape: Shape,
    memory: &Memory,
    values: &[u64],
    textures: &[Texture],
) -> Result<ExecStats, Fault> {
    run_kernel(program.entries[0].kernel().expect("an executed kernel"), shape, memory, values, &[], textures)
}

/// Runs a kernel with 64-bit parameters.
pub fn launch_entry(kernel: &Kernel, shape: Shape, memory: &Memory, values: &[u64]) -> Result<ExecStats, Fault> {
    run_kernel(kernel, shape, memory, values, &[], &[])
}

fn run_kernel(
    kernel: &Kernel,
    shape: Shape,
    memory: &Memory,
    values: &[u64],
    globals: &[u64],
    textures: &[Texture],
) -> Result<ExecStats, Fault> {
    let (map, cancel, parameters) = (memory.map(), AtomicBool::new(false), parameters(values));
    let launch = Launch {
        kernel,
        config: LaunchConfig { grid: shape.grid, block: shape.block, dynamic_shared_bytes: shape.shared },
        cluster: shape.cluster,
        parameters: &parameters,
        globals,
        memory: &map,
        textures,
        order_seed: shape.seed,
        resident: shape.resident,
        stack_bytes: 0,
        cancel: &cancel,
        footprint: None,
    };
    run(&launch, &Pool::new(shape.threads))
}

pub fn program(text: &str) -> Program {
    match Program::from_ptx(text) {
        Ok(program) => program,
        Err(error) => panic!("{error}"),
    }
}

pub fn program_for(text: &str, isa: Isa) -> Program {
    match Program::from_ptx_for(text, isa) {
        Ok(program) => program,
        Err(error) => panic!("{error}"),
    }
}

/// Wraps a body into a kernel `k(out, in0, in1, in2)`; `%rd0`..`%rd3` hold the addresses of the
/// calling thread's 8-byte cells, `%tid.x` is in `%r0`.
pub fn kernel(body: &str) -> String {
    format!(
        ".version 8.0\n.target sm_90\n.address_size 64\n\
         .visible .entry k(.param .u64 out, .param .u64 in0, .param .u64 in1, .param .u64 in2)\n{{\n\
         .reg .pred %p<16>;\n.reg .b16 %rs<32>;\n.reg .b32 %r<64>;\n.reg .f32 %f<32>;\n.reg .b64 %rd<64>;\n.reg .f64 %fd<32>;\n\
         mov.u32 %r0, %tid.x;\nmul.wide.u32 %rd4, %r0, 8;\n\
         ld.param.u64 %rd0, [out];\nadd.s64 %rd0, %rd0, %rd4;\n\
         ld.param.u64 %rd1, [in0];\nadd.s64 %rd1, %rd1, %rd4;\n\
         ld.param.u64 %rd2, [in1];\nadd.s64 %rd2, %rd2, %rd4;\n\
         ld.param.u64 %rd3, [in2];\nadd.s64 %rd3, %rd3, %rd4;\n\
         {body}\nret;\n}}\n"
    )
}

/// Runs [`kernel`] with one 8-byte cell a lane in each of three inputs; gives the output cells,
/// which start as `0xabad1deaabad1dea`.
pub fn cells(text: &str, isa: Isa, inputs: [&[u64]; 3]) -> Result<Vec<u64>, Fault> {
    let program = program_for(text, isa);
    let lanes = inputs[0].len();
    let mut memory = Memory::new();
    let mut values = vec![memory.doubles(&vec![0xabad_1dea_abad_1dea; lanes])];
    for input in inputs {
        values.push(memory.doubles(input));
    }
    let shape = Shape { block: [lanes as u32, 1, 1], ..Shape::default() };
    launch(&program, shape, &memory, &values)?;
    Ok(memory.read_doubles(0))
}
