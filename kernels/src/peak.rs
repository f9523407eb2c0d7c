//! What an sm_90's tensor cores do where nothing else is asked of them: the figure beside which lanes on `wgmma` are shown.

use graphproof_harness::context::{Launch, StepContext};
use graphproof_harness::error::StepResult;
use graphproof_harness::rng::Stream;
use graphproof_harness::step::{BufferSpec, DType, HostBuffers, Module, Step};
use half::bf16;

use crate::error::KernelsError;
use crate::ptx::{self, PtxSource};

/// Rows and columns of the product of one warpgroup.
const ROWS: usize = 64;
const COLUMNS: usize = 256;
/// Bytes of a row or column in shared memory.
const DEEP: usize = 128;
/// Threads of a block: two warpgroups.
const THREADS: u32 = 256;

/// Elements of the tiles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// bf16.
    Bf16,
    /// e4m3.
    E4m3,
}

impl Format {
    /// As figures name it.
    pub fn name(self) -> &'static str {
        match self {
            Format::Bf16 => "bf16",
            Format::E4m3 => "e4m3",
        }
    }

    fn dtype(self) -> DType {
        match self {
            Format::Bf16 => DType::Bf16,
            Format::E4m3 => DType::E4m3,
        }
    }

    fn elements(self) -> usize {
        match self {
            Format::Bf16 => DEEP / 2,
            Format::E4m3 => DEEP,
        }
    }
}

/// Products of tiles that stay in shared memory, as a step.
#[derive(Debug, Clone)]
pub struct Peak {
    format: Format,
    blocks: u32,
    rounds: u32,
    module: Module,
}

impl Peak {
    /// So much work that launching it does not show: ten blocks for each of some 132 multiprocessors.
    ///
    /// # Errors
    /// As for [`ptx::module`].
    pub fn new(format: Format, source: PtxSource) -> Result<Self, KernelsError> {
        Self::of(format, 1320, 256, source)
    }

    /// `blocks` of two warpgroups, each of which multiplies `rounds` times.
    ///
    /// # Errors
    /// As for [`ptx::module`].
    pub fn of(format: Format, blocks: u32, rounds: u32, source: PtxSource) -> Result<Self, KernelsError> {
        Ok(Peak { format, blocks, rounds, module: ptx::module("peak", source)? })
    }

    /// Multiply-adds of the step, counted twice.
    pub fn flop(&self) -> f64 {
        let product = 2 * ROWS * COLUMNS * self.format.elements();
        2.0 * f64::from(self.blocks) * f64::from(self.rounds) * product as f64
    }
}

impl Step for Peak {
    fn name(&self) -> &str {
        match self.format {
            Format::Bf16 => "peak-bf16",
            Format::E4m3 => "peak-e4m3",
        }
    }

    fn summary(&self) -> String {
        format!("wgmma in {} on tiles that stay in shared memory", self.format.name())
    }

    fn modules(&self) -> Vec<Module> {
        vec![self.module.clone()]
    }

    fn buffers(&self) -> Vec<BufferSpec> {
        vec![
            BufferSpec::input("tile", self.format.dtype(), [ROWS + COLUMNS, self.format.elements()]),
            BufferSpec::output("sums", DType::F32, [self.blocks as usize, THREADS as usize]),
        ]
    }

    /// Random numbers: on zeros the cores would be faster.
    fn fill_inputs(&self, index: u64, seed: u64, inputs: &mut HostBuffers) -> StepResult<()> {
        let stream = Stream::new(seed, [index, 0]);
        match self.format {
            Format::Bf16 => {
                for (i, cell) in inputs.slice_mut::<u16>("tile")?.iter_mut().enumerate() {
                    *cell = bf16::from_f32(stream.normal(i as u64)).to_bits();
                }
            }
            // A sign, three bits behind the point, and exponents from -3 to 0.
            Format::E4m3 => {
                for (i, cell) in inputs.slice_mut::<u8>("tile")?.iter_mut().enumerate() {
                    let bits = stream.bits(i as u64);
                    *cell = (bits as u8 & 0x87) | ((4 + (bits >> 8) as u8 % 4) << 3);
                }
            }
        }
        Ok(())
    }

    fn record(&self, cx: &mut StepContext<'_>) -> StepResult<()> {
        let shared = 1024 + (ROWS + COLUMNS) * DEEP;
        let launch = Launch::new(format!("peak_{}", self.format.name())).grid([self.blocks, 1, 1]);
        let launch = launch.block([THREADS, 1, 1]).shared(shared as u32);
        cx.launch(launch.buffer("tile").buffer("sums").value(self.rounds))
    }
}
