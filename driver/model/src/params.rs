//! What calls are given, in the model's own terms.

use super::execute::HostFunction;

/// A stream as a call names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamName {
    /// The legacy default stream of the current context.
    Legacy,
    /// The calling thread's own default stream in the current context.
    PerThread,
    /// A stream that was made, by its handle.
    Handle(u64),
}

impl StreamName {
    /// By the number of its handle: null is the legacy stream, 1 and 2 are `CU_STREAM_LEGACY` and
    /// `CU_STREAM_PER_THREAD`.
    pub fn from_handle(handle: u64) -> Self {
        match handle {
            0 | 1 => Self::Legacy,
            2 => Self::PerThread,
            handle => Self::Handle(handle),
        }
    }
}

/// A function of the program, and the pointer that it is called with: numbers to the model. Who put them in knows
/// what they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Callback {
    /// The function's address.
    pub function: u64,
    /// Handed back, never read.
    pub data: u64,
}

/// A function to call on the host.
#[derive(Debug, Clone, Copy)]
pub struct HostWork {
    /// What is called.
    pub callback: Callback,
    /// The stream that the function is told, for one that is told any.
    pub stream: u64,
    /// How it is called.
    pub call: HostFunction,
}

impl PartialEq for HostWork {
    fn eq(&self, other: &Self) -> bool {
        self.callback == other.callback && self.stream == other.stream && std::ptr::fn_addr_eq(self.call, other.call)
    }
}

impl Eq for HostWork {}

/// `CUmemorytype`: what an operand of a copy lies in.
#[allow(missing_docs, reason = "the names are CUDA's")]
pub mod memory_type {
    pub const HOST: u32 = 1;
    pub const DEVICE: u32 = 2;
    pub const ARRAY: u32 = 3;
    pub const UNIFIED: u32 = 4;
}

/// One operand of a copy. Only the place that `memory_type` names means anything; all are kept, to be read back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct End {
    /// One of [`memory_type`].
    pub memory_type: u32,
    /// Address in host memory.
    pub host: u64,
    /// Address in device memory, or of either for [`memory_type::UNIFIED`].
    pub device: u64,
    /// An array's handle.
    pub array: u64,
    /// Offset of the first byte: bytes, rows, slices.
    pub at: [usize; 3],
    /// Distance of rows in bytes; 0 where they lie side by side.
    pub pitch: usize,
    /// Rows of a slice; 0 for as many as are copied.
    pub rows: usize,
    /// Level of detail, which is not looked at.
    pub level: usize,
}

impl End {
    /// The address that it begins at, unless it is an array.
    pub fn base(&self) -> Option<u64> {
        match self.memory_type {
            memory_type::HOST => Some(self.host),
            memory_type::ARRAY => None,
            _ => Some(self.device),
        }
    }
}

/// A copy of up to three dimensions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CopyParams {
    /// Where it reads.
    pub src: End,
    /// Where it writes.
    pub dst: End,
    /// Bytes of a row, rows, slices.
    pub extent: [usize; 3],
}

/// The value of a launch or stream attribute: 64 bytes, read by the attribute's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttributeValue(pub [u8; 64]);

impl AttributeValue {
    /// Four of its bytes as an unsigned number: most attributes are one.
    pub fn word(&self, index: usize) -> u32 {
        let at = index * 4;
        u32::from_ne_bytes([self.0[at], self.0[at + 1], self.0[at + 2], self.0[at + 3]])
    }
}

impl Default for AttributeValue {
    fn default() -> Self {
        Self([0; 64])
    }
}

/// An attribute of a launch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attribute {
    /// `CUlaunchAttributeID`.
    pub id: u32,
    /// Its value.
    pub value: AttributeValue,
}

/// `CUmemLocation`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Location {
    /// `CUmemLocationType`.
    pub kind: u32,
    /// Which one of the kind.
    pub id: i32,
}

/// Access to memory from a location. Laid out as in C: a query of a node hands its array out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Access {
    /// From where.
    pub location: Location,
    /// `CUmemAccess_flags`.
    pub flags: u32,
}

/// The properties that a pool is asked for with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolProps {
    /// `CUmemAllocationType`.
    pub allocation_type: u32,
    /// `CUmemAllocationHandleType`.
    pub handle_types: u32,
    /// Where its memory lies.
    pub location: Location,
    /// Most bytes; 0 for no limit.
    pub max_size: usize,
    /// `CUmemPoolProps::usage`.
    pub usage: u16,
}
