//! The work that a stream or a graph node holds.
//!
//! Eager and captured work are the same value: a stream either executes a [`NodeParams`] or hands
//! it to the capture. Everything that the caller's pointers refer to is copied at the call;
//! addresses and handles are kept as given, because that is what a replay will use.

use std::collections::BTreeMap;
use std::ffi::c_void;
use std::sync::{Arc, OnceLock};

use super::memcpy::Memcpy3d;
use crate::exec::LaunchConfig;

/// `CUhostFn`.
pub type HostFn = unsafe extern "C" fn(*mut c_void);

/// The parameters of a kernel launch: owned bytes, laid out as the kernel's parameter space.
#[derive(Debug)]
pub struct ParameterBuffer {
    /// 16-byte units, so that any parameter type is aligned.
    storage: Box<[u128]>,
    len: usize,
    offsets: Box<[u32]>,
    addresses: OnceLock<Box<[usize]>>,
}

impl ParameterBuffer {
    /// Copies `bytes`; `offsets` has the byte offset of each parameter.
    pub fn new(bytes: &[u8], offsets: impl Into<Box<[u32]>>) -> Self {
        let mut storage = vec![0u128; bytes.len().div_ceil(16)].into_boxed_slice();
        for (unit, chunk) in storage.iter_mut().zip(bytes.chunks(16)) {
            let mut filled = [0u8; 16];
            filled[..chunk.len()].copy_from_slice(chunk);
            *unit = u128::from_ne_bytes(filled);
        }
        Self { storage, len: bytes.len(), offsets: offsets.into(), addresses: OnceLock::new() }
    }

    /// The bytes, aligned to 16.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: `storage` holds at least `len` initialised bytes, and `u8` has no alignment.
        unsafe { std::slice::from_raw_parts(self.storage.as_ptr().cast(), self.len) }
    }

    /// Byte offset of each parameter.
    pub fn offsets(&self) -> &[u32] {
        &self.offsets
    }

    /// Address of each parameter within this buffer, for `kernelParams`. The array and what it
    /// points to stay in place for as long as the buffer lives.
    pub fn addresses(&self) -> &[usize] {
        self.addresses.get_or_init(|| {
            let base = self.storage.as_ptr() as usize;
            self.offsets.iter().map(|&offset| base + offset as usize).collect()
        })
    }
}

impl PartialEq for ParameterBuffer {
    fn eq(&self, other: &Self) -> bool {
        self.bytes() == other.bytes()
    }
}

/// A raw `CUlaunchAttributeValue`.
pub type AttributeValue = [u8; 64];

/// Launch attributes by `CUlaunchAttributeID`. An attribute that was never set reads as zeros.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KernelAttributes(Option<Arc<BTreeMap<u32, AttributeValue>>>);

impl KernelAttributes {
    /// `CU_LAUNCH_ATTRIBUTE_COOPERATIVE`.
    pub const COOPERATIVE: u32 = 2;
    /// `CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION`.
    pub const CLUSTER_DIMENSION: u32 = 4;
    /// `CU_LAUNCH_ATTRIBUTE_PRIORITY`.
    pub const PRIORITY: u32 = 8;

    /// The attribute's value.
    pub fn get(&self, id: u32) -> AttributeValue {
        self.0.as_ref().and_then(|map| map.get(&id)).copied().unwrap_or([0; 64])
    }

    /// Sets the attribute.
    pub fn set(&mut self, id: u32, value: AttributeValue) {
        Arc::make_mut(self.0.get_or_insert_default()).insert(id, value);
    }

    /// Sets an attribute whose value is an `int`.
    pub fn set_int(&mut self, id: u32, value: i32) {
        let mut raw = [0; 64];
        raw[..4].copy_from_slice(&value.to_ne_bytes());
        self.set(id, raw);
    }

    /// The first `int` of the attribute.
    pub fn int(&self, id: u32) -> i32 {
        let raw = self.get(id);
        i32::from_ne_bytes([raw[0], raw[1], raw[2], raw[3]])
    }

    /// A cooperative launch.
    pub fn cooperative(&self) -> bool {
        self.int(Self::COOPERATIVE) != 0
    }

    /// The attributes that were set, in order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &AttributeValue)> {
        self.0.iter().flat_map(|map| map.iter().map(|(&id, value)| (id, value)))
    }
}

/// A kernel launch.
#[derive(Debug, Clone, PartialEq)]
pub struct KernelParams {
    /// `CUfunction` as given; 0 when only `kernel` was given.
    pub function: u64,
    /// `CUkernel` as given, used when `function` is 0.
    pub kernel: u64,
    /// `CUcontext` that owns the function.
    pub context: u64,
    /// Grid, block and dynamic shared memory.
    pub config: LaunchConfig,
    /// The parameter bytes.
    pub parameters: Arc<ParameterBuffer>,
    /// The caller passed one buffer through `extra`; a query then answers through `extra` too.
    pub packed: bool,
    /// Launch attributes.
    pub attributes: KernelAttributes,
}

/// A fill of `height` rows of `width` elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MemsetParams {
    /// First device address.
    pub dst: u64,
    /// Bytes from row to row; unused when `height` is 1.
    pub pitch: u64,
    /// The value, in its low `element_size` bytes.
    pub value: u32,
    /// 1, 2 or 4 bytes.
    pub element_size: u32,
    /// Elements of a row.
    pub width: u64,
    /// Rows.
    pub height: u64,
    /// `CUcontext` that runs it.
    pub context: u64,
}

/// A call on the host. It must not call CUDA.
#[derive(Debug, Clone, Copy)]
pub struct HostParams {
    /// The function.
    pub function: HostFn,
    /// Its argument, never dereferenced by us.
    pub user_data: usize,
    /// `syncMode` of `CUDA_HOST_NODE_PARAMS_v2`.
    pub sync_mode: u32,
    /// `CUcontext`, 0 if none was given.
    pub context: u64,
}

impl PartialEq for HostParams {
    fn eq(&self, other: &Self) -> bool {
        self.function as usize == other.function as usize
            && self.user_data == other.user_data
            && self.sync_mode == other.sync_mode
            && self.context == other.context
    }
}

/// The event of an event record or event wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EventParams {
    /// `CUevent` as given.
    pub event: u64,
    /// `CUcontext`, 0 if none was given.
    pub context: u64,
}

/// An allocation. The address is fixed when the node is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemAllocParams {
    /// Address, reserved by the device before the node is made.
    pub address: u64,
    /// Size in bytes, as requested.
    pub bytes: u64,
    /// Device ordinal.
    pub device: i32,
    /// `CUmemPoolProps` as given, for a query; empty if the allocation came from a stream.
    pub pool_props: Arc<[u8]>,
    /// `CUmemAccessDesc` array as given: pairs of location (type, id) and flags.
    pub access: Arc<[[i32; 3]]>,
}

/// A free of a graph allocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MemFreeParams {
    /// Address of the allocation.
    pub address: u64,
}

/// One operation of `cuStreamBatchMemOp`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MemOp {
    /// `CU_STREAM_MEM_OP_WAIT_VALUE_32` and `_64`.
    WaitValue {
        /// 4 or 8.
        bytes: u32,
        /// Device address.
        address: u64,
        /// Compared value.
        value: u64,
        /// `CUstreamWaitValue_flags`.
        flags: u32,
    },
    /// `CU_STREAM_MEM_OP_WRITE_VALUE_32` and `_64`.
    WriteValue {
        /// 4 or 8.
        bytes: u32,
        /// Device address.
        address: u64,
        /// Written value.
        value: u64,
        /// `CUstreamWriteValue_flags`.
        flags: u32,
    },
    /// `CU_STREAM_MEM_OP_BARRIER`.
    Barrier {
        /// `CUstreamMemoryBarrier_flags`.
        flags: u32,
    },
    /// `CU_STREAM_MEM_OP_FLUSH_REMOTE_WRITES`.
    FlushRemoteWrites,
}

/// A batch of memory operations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchMemOpParams {
    /// `CUcontext`.
    pub context: u64,
    /// Reserved flags.
    pub flags: u32,
    /// The operations, executed in order.
    pub operations: Arc<[MemOp]>,
}

/// `CUgraphConditionalNodeType`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum ConditionalKind {
    /// Body 0 if the value is not zero, else body 1 where there is one.
    If = 0,
    /// Body 0 again and again while the value is not zero.
    While = 1,
    /// The body whose index is the value, if there is one.
    Switch = 2,
}

/// A conditional node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConditionalParams {
    /// `CUgraphConditionalHandle`.
    pub handle: u64,
    /// IF, WHILE or SWITCH.
    pub kind: ConditionalKind,
    /// Handles of the body graphs, which the node owns.
    pub bodies: Arc<[u64]>,
    /// `CUcontext`.
    pub context: u64,
}

/// What a stream executes or a graph node holds.
#[derive(Debug, Clone, PartialEq)]
pub enum NodeParams {
    /// A kernel launch.
    Kernel(Box<KernelParams>),
    /// A copy.
    Memcpy(Box<Memcpy3d>),
    /// A fill.
    Memset(MemsetParams),
    /// A host function.
    Host(HostParams),
    /// An embedded graph, by the handle of the graph that the node owns.
    ChildGraph(u64),
    /// Nothing: a point to order other nodes around.
    Empty,
    /// Waits for an event recorded outside the graph.
    EventWait(EventParams),
    /// Records an event for waiters outside the graph.
    EventRecord(EventParams),
    /// Allocates graph memory.
    MemAlloc(Box<MemAllocParams>),
    /// Frees graph memory.
    MemFree(MemFreeParams),
    /// Memory operations.
    BatchMemOp(Box<BatchMemOpParams>),
    /// Chooses among body graphs.
    Conditional(Box<ConditionalParams>),
}

/// `CUgraphNodeType`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u32)]
#[allow(missing_docs, reason = "the names are CUDA's")]
pub enum NodeType {
    Kernel = 0,
    Memcpy = 1,
    Memset = 2,
    Host = 3,
    Graph = 4,
    Empty = 5,
    WaitEvent = 6,
    EventRecord = 7,
    MemAlloc = 10,
    MemFree = 11,
    BatchMemOp = 12,
    Conditional = 13,
}

impl NodeParams {
    /// The node type that `cuGraphNodeGetType` reports.
    pub fn node_type(&self) -> NodeType {
        match self {
            Self::Kernel(_) => NodeType::Kernel,
            Self::Memcpy(_) => NodeType::Memcpy,
            Self::Memset(_) => NodeType::Memset,
            Self::Host(_) => NodeType::Host,
            Self::ChildGraph(_) => NodeType::Graph,
            Self::Empty => NodeType::Empty,
            Self::EventWait(_) => NodeType::WaitEvent,
            Self::EventRecord(_) => NodeType::EventRecord,
            Self::MemAlloc(_) => NodeType::MemAlloc,
            Self::MemFree(_) => NodeType::MemFree,
            Self::BatchMemOp(_) => NodeType::BatchMemOp,
            Self::Conditional(_) => NodeType::Conditional,
        }
    }
}
