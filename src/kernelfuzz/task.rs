//! A kernel ready to be run, and what comes of it.

use graphproof_harness::digest;
use serde::{Deserialize, Serialize};

use super::inputs::{self, COMMON_CELLS};
use super::ir::Kernel;
use super::print;

/// A kernel's text and launch. Everything that an engine needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// Names the kernel, and its inputs.
    pub seed: u64,
    /// The entry point.
    pub entry: String,
    /// What stands at module scope for it, the entry itself last; without the module's header.
    pub text: String,
    /// Blocks.
    pub grid: [u32; 3],
    /// Threads of a block.
    pub block: [u32; 3],
    /// Dynamic shared memory in bytes.
    pub shared: u32,
    /// The output buffer in bytes.
    pub output: usize,
}

impl Task {
    /// The task of a kernel.
    pub fn new(kernel: &Kernel) -> Task {
        let text = print::print(kernel);
        let shared = print::dynamic_shared(kernel, &text);
        Task {
            seed: kernel.seed,
            entry: format!("k{}", kernel.seed),
            text,
            grid: kernel.grid,
            block: kernel.block,
            shared,
            output: print::output_bytes(kernel) * kernel.all_threads() as usize,
        }
    }

    /// Threads of the grid.
    pub fn threads(&self) -> u32 {
        self.grid.iter().chain(&self.block).product()
    }

    /// 32 bits that tell whether this is the kernel that a record speaks of.
    pub fn fingerprint(&self) -> u32 {
        let shape = format!("{:?} {:?} {} {}", self.grid, self.block, self.shared, self.output);
        digest::of_bytes(format!("{shape}{}", self.text).as_bytes()) as u32
    }

    /// The cells for atomics before the launch.
    pub fn cells(&self) -> Vec<u64> {
        inputs::cells(self.seed, self.threads())
    }

    /// How many of them count as results: the common ones and the first set, whose values are integers.
    pub fn cells_compared(&self) -> usize {
        COMMON_CELLS as usize + self.threads() as usize
    }
}

/// What the output buffer holds before the launch, in each byte.
pub const UNWRITTEN: u8 = 0xa5;

/// What an engine made of a kernel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Answer {
    /// It ran. The digest of its output, and of the cells behind it.
    Ran(u64),
    /// It does not load: why.
    Refused(String),
    /// It did not come to its end: why.
    Failed(String),
}

/// The answer with the words behind the digest.
pub type Full = (Answer, Vec<u64>);

/// Runs kernels: a driver, or the interpreter by itself.
pub trait Engine {
    /// How a report names it.
    fn name(&self) -> String;
    /// Runs each task by itself, on fresh inputs.
    fn run(&mut self, tasks: &[Task]) -> Vec<Full>;
}

/// The answer of words that were read back.
pub fn ran(words: Vec<u64>) -> Full {
    (Answer::Ran(digest::of_bytes(bytemuck::cast_slice(&words))), words)
}
