//! CUDA graphs: nodes, edges, executable graphs and graph memory.
//!
//! Nothing here touches a device: work is described by [`NodeParams`], and the device executes it.
mod memcpy;
mod params;

pub use memcpy::{CopyOperand, Memcpy3d, MemoryKind};
pub use params::{
    AttributeValue, BatchMemOpParams, ConditionalKind, ConditionalParams, EventParams, HostFn, HostParams,
    KernelAttributes, KernelParams, MemAllocParams, MemFreeParams, MemOp, MemsetParams, NodeParams, NodeType,
    ParameterBuffer,
};
