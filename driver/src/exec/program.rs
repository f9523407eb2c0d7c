//! A decoded module.

use std::sync::Arc;

use super::code::Code;
use super::decode;
use super::isa::Isa;
use crate::ptx::{self, PtxError};

/// A PTX module, parsed and decoded: what `cuModuleLoadData` makes of PTX text.
#[derive(Debug)]
pub struct Program {
    /// Kernels (`.entry`) in source order.
    pub kernels: Vec<Arc<Kernel>>,
    /// Module-scope `.global` and `.const` variables; the device allocates and fills them.
    pub globals: Vec<GlobalVariable>,
    /// `.version` as (major, minor).
    pub version: (u32, u32),
    /// `.target`, such as `sm_80`.
    pub target: String,
}

impl Program {
    /// Parses and decodes PTX text for the best instruction set of this machine.
    ///
    /// # Errors
    /// The first thing in the text that is not PTX, does not fit together, or is not executed
    /// by this implementation; nothing is left to be found at launch.
    pub fn from_ptx(text: &str) -> Result<Self, PtxError> {
        Self::from_ptx_for(text, Isa::detect())
    }

    /// As [`Program::from_ptx`], for a given instruction set. One that this machine lacks
    /// is replaced by its best.
    ///
    /// # Errors
    /// As [`Program::from_ptx`].
    pub fn from_ptx_for(text: &str, isa: Isa) -> Result<Self, PtxError> {
        let module = ptx::parse(text)?;
        decode::program(&module, isa.min(Isa::detect()))
    }

    /// The kernel called `name`.
    pub fn kernel(&self, name: &str) -> Option<&Arc<Kernel>> {
        self.kernels.iter().find(|k| k.name == name)
    }
}

/// A module-scope variable.
#[derive(Debug, Clone)]
pub struct GlobalVariable {
    /// Symbol name.
    pub name: String,
    /// Size in bytes.
    pub size: u64,
    /// Required alignment in bytes.
    pub align: u64,
    /// Initial bytes; shorter than `size` means that the rest is zero.
    pub init: Vec<u8>,
}

/// One kernel parameter.
#[derive(Debug, Clone)]
pub struct Parameter {
    /// Name in the PTX.
    pub name: String,
    /// Byte offset in the parameter buffer.
    pub offset: usize,
    /// Size in bytes.
    pub size: usize,
}

/// A decoded kernel.
#[derive(Debug)]
pub struct Kernel {
    /// Entry name.
    pub name: String,
    /// Parameters in order.
    pub parameters: Vec<Parameter>,
    /// Static `.shared` bytes.
    pub static_shared_bytes: u32,
    /// `.local` bytes per thread.
    pub local_bytes: u32,
    /// 32-bit registers per thread, as `CU_FUNC_ATTRIBUTE_NUM_REGS` reports.
    pub registers: u32,
    /// From `.maxntid`, else 1024.
    pub max_threads_per_block: u32,
    /// What the interpreter runs.
    pub(crate) code: Code,
    /// What it runs when the block's shape breaks what `code` relies on, or lanes that it makes
    /// meet would wait for each other for good.
    pub(crate) plain: Option<Code>,
}
