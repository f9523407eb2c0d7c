//! Why a kernel stopped early.

use std::fmt;

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
    /// File and line of the CUDA source, when the PTX was compiled with `-lineinfo`.
    pub source: Option<(String, u32)>,
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
    /// An indirect call of what is no function of its prototype, or cannot be called from there:
    /// `CUDA_ERROR_LAUNCH_FAILED`.
    Call {
        /// What was called.
        address: u64,
    },
    /// `cudaGraphSetConditional` with a handle that the graph being launched does not have:
    /// `CUDA_ERROR_LAUNCH_FAILED`.
    Conditional {
        /// The handle.
        handle: u64,
        /// The kernel runs outside any graph with conditional nodes.
        outside: bool,
    },
    /// An instruction is used as PTX forbids, with what is wrong: `CUDA_ERROR_LAUNCH_FAILED`.
    Misuse(String),
    /// `Launch::cancel` was set: `CUDA_ERROR_LAUNCH_TIMEOUT` (702).
    Cancelled,
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = |write: &bool| if *write { "write to" } else { "read of" };
        match self {
            Self::IllegalAddress { space, address, size, write } => {
                write!(f, "illegal {size}-byte {} {space} address {address:#x}", verb(write))
            }
            Self::MisalignedAddress { space, address, align, write } => {
                write!(f, "misaligned {} {space} address {address:#x} (must be a multiple of {align})", verb(write))
            }
            Self::Trap => write!(f, "trap"),
            Self::Call { address } => write!(
                f,
                "indirect call of {address:#x}, which is no function of that prototype, is recursive, or cannot run"
            ),
            Self::Barrier(why) => write!(f, "barrier that cannot complete: {why}"),
            Self::Misuse(why) => write!(f, "{why}"),
            Self::Conditional { handle, outside: true } => {
                write!(f, "conditional handle {handle:#x} set outside a launch of a graph with conditional nodes")
            }
            Self::Conditional { handle, outside: false } => {
                write!(f, "conditional handle {handle:#x} is none of the graph that is launched")
            }
            Self::Cancelled => write!(f, "stopped before it ended"),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ([bx, by, bz], [tx, ty, tz]) = (self.block, self.thread);
        write!(f, "{} in kernel `{}`, block ({bx},{by},{bz}), thread ({tx},{ty},{tz})", self.kind, self.kernel)?;
        if self.ptx_line > 0 {
            write!(f, ", PTX line {}: {}", self.ptx_line, self.ptx_text)?;
        }
        if let Some((file, line)) = &self.source {
            write!(f, " ({file}:{line})")?;
        }
        Ok(())
    }
}

impl std::error::Error for Fault {}
