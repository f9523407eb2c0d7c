//! Typed module → flat decoded code → warp-wide interpreter.
//!
//! The types below are the whole contract between the interpreter and the software device.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

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

/// A decoded kernel. (The interpreter's private fields follow the public ones.)
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
}

/// Grid geometry of a launch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LaunchConfig {
    /// Blocks in x, y, z.
    pub grid: [u32; 3],
    /// Threads of a block in x, y, z.
    pub block: [u32; 3],
    /// Dynamic shared memory in bytes.
    pub dynamic_shared_bytes: u32,
}

/// One live allocation as kernels may address it: device addresses
/// `[base, base + len)` stand for host bytes `[host, host + len)`.
#[derive(Debug, Clone, Copy)]
pub struct MemoryRange {
    /// First device address.
    pub base: u64,
    /// Length in bytes, exact: one byte more is an illegal address.
    pub len: u64,
    /// Backing store. The device keeps it mapped for as long as any launch holds the map.
    pub host: *mut u8,
}

/// What a kernel may touch: the live allocations at launch, sorted by `base`, not overlapping.
#[derive(Debug, Clone, Default)]
pub struct MemoryMap {
    /// The ranges.
    pub ranges: Arc<[MemoryRange]>,
}

/// What the device hands the interpreter for one launch.
pub struct Launch<'a> {
    /// The kernel.
    pub kernel: &'a Kernel,
    /// Its geometry.
    pub config: LaunchConfig,
    /// The parameter buffer, laid out as `Kernel::parameters` says.
    pub parameters: &'a [u8],
    /// Device address of each of the program's globals, in `Program::globals` order.
    pub globals: &'a [u64],
    /// Addressable memory.
    pub memory: &'a MemoryMap,
    /// Seed for every order that CUDA leaves open: blocks, and warps within a block.
    pub order_seed: u64,
    /// Set by the device to stop a kernel that never ends.
    pub cancel: &'a AtomicBool,
}

/// Why a kernel stopped early. The device makes it sticky.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// What happened.
    pub kind: FaultKind,
    /// Kernel name.
    pub kernel: String,
    /// Line in the PTX text, from 1.
    pub ptx_line: u32,
    /// The PTX statement itself, trimmed.
    pub ptx_text: String,
    /// `%ctaid`.
    pub block: [u32; 3],
    /// `%tid` of the first lane that faulted.
    pub thread: [u32; 3],
}

/// The kinds of fault, and the `CUresult` each becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FaultKind {
    /// `CUDA_ERROR_ILLEGAL_ADDRESS` (700): an access outside every live allocation or outside shared/local memory.
    IllegalAddress {
        /// State space as PTX names it: `global`, `shared`, `local`, `param`.
        space: &'static str,
        /// The address.
        address: u64,
        /// Access size in bytes.
        size: u32,
        /// Store or atomic rather than load.
        write: bool,
    },
    /// `CUDA_ERROR_MISALIGNED_ADDRESS` (716).
    MisalignedAddress {
        /// State space.
        space: &'static str,
        /// The address.
        address: u64,
        /// Required alignment in bytes.
        align: u32,
        /// Store or atomic rather than load.
        write: bool,
    },
    /// `trap`: `CUDA_ERROR_LAUNCH_FAILED` (719).
    Trap,
    /// Warps wait at barriers that can never complete: `CUDA_ERROR_LAUNCH_FAILED`, with the reason.
    Barrier(String),
    /// `Launch::cancel` was set: `CUDA_ERROR_LAUNCH_TIMEOUT` (702).
    Cancelled,
}
