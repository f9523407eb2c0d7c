//! Flat decoded code.

use std::sync::Arc;

use super::isa::Isa;
use super::parting::Parting;
use super::slot::{UniformSlot, VectorSlot};
use super::strength::is_strong;
use super::vm::Ctx;

/// Executes one instruction and returns the next one, or null when the warp has to stop.
pub(crate) type Handler = unsafe fn(&mut Ctx, *const Inst) -> *const Inst;

/// The three compilations of one handler, by [`Isa`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct HandlerSet(pub [Handler; 3]);

impl HandlerSet {
    pub fn get(&self, isa: Isa) -> Handler {
        self.0[isa as usize]
    }
}

/// One decoded instruction. Operands are [`slot`](super::slot)s of the warp's register file.
#[repr(C)]
pub(crate) struct Inst {
    pub handler: Handler,
    pub d: u32,
    pub a: u32,
    pub b: u32,
    pub c: u32,
    pub imm: u64,
}

/// What fills a uniform slot before a block starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum ScalarInit {
    /// A constant of the code.
    Constant(u64),
    /// Device address of a module variable, plus an offset.
    Global(u32, i64),
    /// So many bytes of the parameters, from an offset on, extended by their sign where they have one.
    Parameter { offset: u32, bytes: u8, signed: bool },
    /// `%ctaid`, by axis.
    BlockIndex(u8),
    /// `%ntid`, by axis.
    BlockSize(u8),
    /// `%nctaid`, by axis.
    GridSize(u8),
    /// `%warpid`.
    Warp,
    /// `%nwarpid`.
    Warps,
    /// `%dynamic_smem_size`.
    DynamicShared,
    /// `%total_smem_size`.
    TotalShared,
    /// `%gridid`.
    Grid,
    /// Address of the counters by which a grid waits for itself.
    Workspace,
    /// `%clusterid`, by axis.
    Cluster(u8),
    /// `%nclusterid`, by axis.
    Clusters(u8),
    /// `%cluster_ctaid`, by axis.
    PlaceInCluster(u8),
    /// `%cluster_nctaid`, by axis.
    ClusterSize(u8),
    /// `%cluster_ctarank`.
    ClusterRank,
    /// `%cluster_nctarank`.
    ClusterBlocks,
    /// `%is_explicit_cluster`.
    InCluster,
}

/// What fills a vector slot before a warp starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum VectorInit {
    /// `%tid`, by axis.
    Thread(u8),
    /// `%laneid`.
    Lane,
    /// `%lanemask_eq`, `_le`, `_lt`, `_ge`, `_gt`.
    LaneMask(u8),
}

/// Where an instruction comes from.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    pub line: u32,
    pub start: u32,
    pub end: u32,
    pub source: Option<(u32, u32)>,
}

/// Executable form of one kernel.
pub(crate) struct Code {
    pub insts: Vec<Inst>,
    /// Operand lists of instructions that have more operands than fields.
    pub extras: Vec<u32>,
    /// Index into `origins`, by instruction.
    pub origin_of: Vec<u32>,
    pub origins: Vec<Origin>,
    pub source: Arc<str>,
    pub files: Arc<[(u32, String)]>,
    /// Slots to fill before a warp starts.
    pub scalars: Vec<(UniformSlot, ScalarInit)>,
    pub vectors: Vec<(VectorSlot, VectorInit)>,
    /// Slots that take the value that all lanes of a warp share.
    pub shared_by_lanes: Vec<(UniformSlot, VectorInit)>,
    /// Bytes of a warp's register file, a multiple of 128.
    pub file_bytes: usize,
    /// Memory instructions, each with a range cache entry of its own.
    pub memory_sites: u32,
    /// How a block changes over to the kernel's `plain` code, if lanes of this one meet.
    pub parting: Option<Parting>,
    /// Where the shared memory for the system's own use begins, which starts as zeros, if it is used.
    pub reserved: Option<u32>,
    /// The code relies on warps that lie along x: `%tid.x / 32` is one value per warp.
    pub needs_rows: bool,
    /// Some instruction reads what other blocks may be writing: a block may be waiting for another.
    pub polls: bool,
    /// Some instruction reads shared memory asynchronously.
    pub reads_async: bool,
    /// Some instruction lets dependent grids begin.
    pub lets_begin: bool,
}

impl std::fmt::Debug for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Code")
            .field("instructions", &self.insts.len())
            .field("file_bytes", &self.file_bytes)
            .finish_non_exhaustive()
    }
}

impl Code {
    /// Which instructions are atomic or strong, by their place.
    pub fn strong(&self) -> Arc<[bool]> {
        let text = |origin: &Origin| self.source.get(origin.start as usize..origin.end as usize).unwrap_or("");
        let by_origin: Vec<bool> = self.origins.iter().map(|origin| is_strong(text(origin))).collect();
        self.origin_of.iter().map(|&origin| by_origin.get(origin as usize).copied().unwrap_or(false)).collect()
    }

    /// Whether the blocks of a launch may wait for each other.
    pub fn waits_for_grid(&self) -> bool {
        self.scalars.iter().any(|&(_, init)| init == ScalarInit::Workspace)
    }

    /// Line, text and source place of the instruction at `pc`.
    pub fn place(&self, pc: usize) -> (u32, String, Option<(String, u32)>) {
        let Some(origin) = self.origin_of.get(pc).and_then(|&o| self.origins.get(o as usize)) else {
            return (0, String::new(), None);
        };
        let text =
            self.source[origin.start as usize..origin.end as usize].split_whitespace().collect::<Vec<_>>().join(" ");
        let source = origin.source.and_then(|(file, line)| {
            let (_, path) = self.files.iter().find(|(n, _)| *n == file)?;
            Some((path.clone(), line))
        });
        (origin.line, text, source)
    }
}
