//! Allocations: who made them, what becomes of them, and who may touch them.

use std::collections::BTreeSet;

/// Who made an allocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// `cuMemAlloc` and its kin, in the context with this handle.
    Plain(u64),
    /// A memory pool, by handle.
    Pool(u64),
    /// A node of a graph.
    Graph,
    /// A module's global variables, in the context with this handle.
    Module(u64),
    /// A CUDA array, in the context with this handle.
    Array(u64),
    /// Another process's, opened in the context with this handle (`cuIpcOpenMemHandle`).
    Opened(u64),
    /// A mapping of the physical allocation with this handle (`cuMemMap`).
    Mapping(u64),
}

impl Origin {
    /// Whether `cuMemFree` and `cuMemFreeAsync` free it.
    pub fn can_be_freed(self) -> bool {
        !matches!(self, Self::Module(_) | Self::Mapping(_) | Self::Opened(_))
    }

    /// The context that the allocation belongs to, if it belongs to one.
    pub fn context(self) -> Option<u64> {
        match self {
            Self::Plain(context) | Self::Module(context) | Self::Array(context) | Self::Opened(context) => {
                Some(context)
            }
            Self::Pool(_) | Self::Graph | Self::Mapping(_) => None,
        }
    }
}

/// Whether an allocation can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It has an address, and no memory yet.
    Reserved,
    /// In use.
    Live,
    /// A free is on its way through a stream.
    Freeing,
}

/// An allocation of device memory.
#[derive(Debug, Clone, Copy)]
pub struct Allocation {
    /// First address.
    pub base: u64,
    /// Size in bytes, as requested.
    pub len: u64,
    /// Who made it.
    pub origin: Origin,
    /// Whether it can be used.
    pub state: State,
    /// Unique for the life of the process: `CU_POINTER_ATTRIBUTE_BUFFER_ID`.
    pub number: u64,
    /// The device whose memory it is.
    pub device: i32,
    /// The devices that may access it in every context, as bits.
    pub access: Devices,
}

/// A set of devices, as bits.
pub type Devices = u32;

/// The set of one device.
pub fn only(device: i32) -> Devices {
    1 << device
}

impl Allocation {
    /// Whether its addresses lead to memory.
    pub(super) fn is_addressable(&self) -> bool {
        self.state != State::Reserved && !matches!(self.origin, Origin::Array(_))
    }

    /// Whether a kernel of a context may touch it.
    pub(super) fn is_visible(&self, viewer: &Viewer) -> bool {
        let by_peer = || self.origin.context().is_some_and(|context| viewer.peers.contains(&context));
        self.access & only(viewer.device) != 0 || by_peer()
    }
}

/// Host memory that kernels may reach, at the address that the host uses.
#[derive(Debug, Clone, Copy)]
pub struct HostAllocation {
    /// First address.
    pub base: u64,
    /// Size in bytes.
    pub len: u64,
    /// How it came to be known.
    pub kind: HostKind,
    /// Flags of `cuMemHostAlloc`, `cuMemHostRegister` or `cuMemAllocManaged`.
    pub flags: u32,
    /// As for [`Allocation::number`].
    pub number: u64,
    /// The device of the context in which it was made known.
    pub device: i32,
}

/// Kinds of host memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostKind {
    /// `cuMemHostAlloc`, `cuMemAllocHost`.
    Pinned,
    /// `cuMemHostRegister`.
    Registered,
    /// `cuMemAllocManaged`.
    Managed,
}

/// What an address belongs to.
#[derive(Debug, Clone, Copy)]
pub enum Place {
    /// Device memory.
    Device(Allocation),
    /// Host memory that the device knows.
    Host(HostAllocation),
}

/// A freed allocation, remembered.
#[derive(Debug, Clone, Copy)]
pub struct Freed {
    /// What it was.
    pub allocation: Allocation,
}

/// A context, as far as it decides what its kernels may touch.
#[derive(Debug, Default)]
pub(super) struct Viewer {
    pub device: i32,
    /// Contexts of other devices whose memory it may access: `cuCtxEnablePeerAccess`.
    pub peers: BTreeSet<u64>,
}

/// What a device has given away, in bytes.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Usage {
    pub live: u64,
    /// Held by pools without being used.
    pub cached: u64,
}
