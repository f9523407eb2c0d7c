//! What the device hands the interpreter for one launch.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32};

use super::footprint::Footprint;
use super::program::Kernel;
use super::texture::Texture;

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

// SAFETY: a range only names memory; the device keeps it mapped while a map is held, and
// kernels that race on it do so under the rules of their own memory model.
unsafe impl Send for MemoryRange {}
// SAFETY: as above.
unsafe impl Sync for MemoryRange {}

/// What a kernel may touch: the live allocations at launch, sorted by `base`, not overlapping.
#[derive(Debug, Clone, Default)]
pub struct MemoryMap {
    /// The ranges.
    pub ranges: Arc<[MemoryRange]>,
}

/// Bytes of a thread's stack: more than the 1,024 of `CU_LIMIT_STACK_SIZE`, since a compiler for hardware packs them
/// better.
pub const STACK_BYTES: u32 = 16 << 10;

/// What the device hands the interpreter for one launch.
pub struct Launch<'a> {
    /// The kernel.
    pub kernel: &'a Kernel,
    /// Its geometry.
    pub config: LaunchConfig,
    /// Blocks of a cluster in x, y, z, which divide the grid.
    pub cluster: [u32; 3],
    /// The parameter buffer, laid out as `Kernel::parameters` says.
    pub parameters: &'a [u8],
    /// Device address of each of the program's globals, in `Program::globals` order.
    pub globals: &'a [u64],
    /// Addressable memory.
    pub memory: &'a MemoryMap,
    /// Texture and surface objects, sorted by handle.
    pub textures: &'a [Texture],
    /// Seed for every order that CUDA leaves open: blocks, warps within a block, and asynchronous copies;
    /// [`FORWARDS`](crate::FORWARDS) and [`BACKWARDS`](crate::BACKWARDS) are the extremes.
    pub order_seed: u64,
    /// Blocks that the device holds at once, which may wait for each other. Another starts when one has ended.
    pub resident: u64,
    /// Bytes of a thread's stack, where the kernel has one, if that is more than `STACK_BYTES`.
    pub stack_bytes: u32,
    /// Set by the device to stop a kernel that never ends.
    pub cancel: &'a AtomicBool,
    /// Where to note what the launch touches, if anybody wants to know.
    pub footprint: Option<&'a Footprint>,
}

impl Launch<'_> {
    /// Local memory of a thread, its stack included.
    pub(super) fn local_bytes(&self) -> u32 {
        let stack = if self.kernel.stack { self.stack_bytes.max(STACK_BYTES).next_multiple_of(16) } else { 0 };
        self.kernel.local_bytes + stack
    }
}

/// A value that the kernels of a graph's launch may set: `cudaGraphSetConditional`.
#[derive(Debug, Clone)]
pub struct Conditional {
    /// The `cudaGraphConditionalHandle` that the kernel passes.
    pub handle: u64,
    /// The value that the graph's conditional node reads.
    pub value: Arc<AtomicU32>,
}

/// What a launch executed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ExecStats {
    /// PTX instructions, each counted once per warp.
    pub warp_instructions: u64,
    /// PTX instructions, each counted once per active lane.
    pub lane_instructions: u64,
    /// The first of its reads that ended behind the memory in which they began, if any did.
    pub widened: Option<WidenedRead>,
}

/// A vector read that begins inside an allocation or the block's shared memory and ends behind it.
/// Compilers widen reads so where alignment makes it safe: hardware maps whole pages, and what is
/// not used does not matter. A read that a `used_bytes_mask` explains is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WidenedRead {
    /// State space as PTX names it.
    pub space: &'static str,
    /// Where it begins.
    pub address: u64,
    /// Its size in bytes.
    pub size: u32,
    /// How many of them lie behind the end.
    pub beyond: u32,
    /// Line in the PTX text, from 1.
    pub ptx_line: u32,
    /// `%ctaid`.
    pub block: [u32; 3],
    /// `%tid`.
    pub thread: [u32; 3],
}

impl WidenedRead {
    /// Of two, the one whose block comes first.
    pub(super) fn first(a: Option<Self>, b: Option<Self>) -> Option<Self> {
        let order = |w: &Self| (w.block[2], w.block[1], w.block[0]);
        a.into_iter().chain(b).min_by_key(order)
    }
}

impl std::fmt::Display for WidenedRead {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { space, address, size, beyond, ptx_line, block: [bx, by, bz], thread: [tx, ty, tz] } = self;
        write!(
            f,
            "{size}-byte read of {space} address {address:#x} ends {beyond} bytes behind the memory in which it \
             begins, in block ({bx},{by},{bz}), thread ({tx},{ty},{tz}), PTX line {ptx_line}"
        )
    }
}
