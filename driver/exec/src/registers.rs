//! What a warp's registers hold before it starts.

use super::code::{Code, ScalarInit, VectorInit};
use super::launch::Launch;
use super::slot::{RegisterFile, UniformSlot, VectorSlot};
use super::vm::ctx::LANES;

/// Where a block lies: `%ctaid`, `%cluster_ctaid`, `%cluster_ctarank`.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub block: [u32; 3],
    pub place: [u32; 3],
    pub rank: u32,
}

/// The registers of a launch's warps before they start: made once, and copied for each warp.
#[derive(Default)]
pub(super) struct Start {
    /// The slots at the start of the file, with what is the same for all warps.
    same: Vec<u64>,
    /// What a warp has of its own.
    own: Vec<(UniformSlot, ScalarInit)>,
    vectors: Vec<VectorSlot>,
    shared: Vec<UniformSlot>,
    /// By warp of a block: its vectors, and the values that its lanes share.
    lanes: Vec<[u32; LANES]>,
    values: Vec<u32>,
}

impl Start {
    /// Makes ready for the warps of a launch that runs `code`.
    pub fn begin(&mut self, launch: &Launch<'_>, code: &Code, workspace: u64) {
        let slots = code.scalars.iter().map(|(slot, _)| slot.index() + 1).max().unwrap_or(0);
        self.same.clear();
        self.same.resize(slots, 0);
        self.own.clear();
        for &(slot, init) in &code.scalars {
            match of_launch(launch, init, workspace) {
                Some(value) => self.same[slot.index()] = value,
                None => self.own.push((slot, init)),
            }
        }
        let threads: u32 = launch.config.block.iter().product();
        self.lanes.clear();
        self.values.clear();
        self.vectors.clear();
        self.vectors.extend(code.vectors.iter().map(|(slot, _)| slot));
        self.shared.clear();
        self.shared.extend(code.shared_by_lanes.iter().map(|(slot, _)| slot));
        for index in 0..threads.div_ceil(LANES as u32) {
            let first = index * LANES as u32;
            self.lanes.extend(code.vectors.iter().map(|&(_, init)| lanes(launch.config.block, first, init)));
            for &(_, init) in &code.shared_by_lanes {
                let values = lanes(launch.config.block, first, init);
                let count = (threads - first).min(LANES as u32) as usize;
                debug_assert!(
                    values[..count].iter().all(|v| *v == values[0]),
                    "{init:?} is not one value in this block"
                );
                self.values.push(values[0]);
            }
        }
    }

    /// Fills the file of the warp with this index in its block.
    ///
    /// # Safety
    /// As [`RegisterFile::started`].
    pub unsafe fn fill(&self, file: *mut u8, bytes: usize, launch: &Launch<'_>, at: Place, index: u32) {
        // SAFETY: by the caller.
        let mut registers = unsafe { RegisterFile::started(file, bytes, &self.same) };
        for &(slot, init) in &self.own {
            registers.set_uniform(slot, of_warp(launch, init, at, index));
        }
        let (index, vectors, shared) = (index as usize, self.vectors.len(), self.shared.len());
        for (slot, lanes) in self.vectors.iter().zip(&self.lanes[index * vectors..]) {
            registers.set_vector(*slot, lanes);
        }
        for (slot, value) in self.shared.iter().zip(&self.values[index * shared..]) {
            registers.set_uniform(*slot, u64::from(*value));
        }
    }
}

/// What every warp of the launch has; none where a warp has its own.
fn of_launch(launch: &Launch<'_>, init: ScalarInit, workspace: u64) -> Option<u64> {
    let config = &launch.config;
    let axis = |of: [u32; 3], axis: u8| u64::from(of[axis as usize % 3]);
    Some(match init {
        ScalarInit::Constant(v) => v,
        ScalarInit::Global(n, offset) => launch.globals.get(n as usize).map_or(0, |g| g.wrapping_add(offset as u64)),
        ScalarInit::Parameter { offset, bytes, signed } => parameter(launch.parameters, offset, bytes, signed),
        ScalarInit::BlockSize(a) => axis(config.block, a),
        ScalarInit::GridSize(a) => axis(config.grid, a),
        ScalarInit::Warps => u64::from(config.block.iter().product::<u32>().div_ceil(LANES as u32)),
        ScalarInit::DynamicShared => u64::from(config.dynamic_shared_bytes),
        ScalarInit::TotalShared => {
            u64::from(config.dynamic_shared_bytes) + u64::from(launch.kernel.static_shared_bytes)
        }
        ScalarInit::Grid => 0,
        ScalarInit::Workspace => workspace,
        ScalarInit::Clusters(a) => axis(config.grid, a) / axis(launch.cluster, a),
        ScalarInit::ClusterSize(a) => axis(launch.cluster, a),
        ScalarInit::ClusterBlocks => launch.cluster.iter().map(|&n| u64::from(n)).product(),
        ScalarInit::InCluster => u64::from(launch.cluster != [1; 3]),
        ScalarInit::BlockIndex(_)
        | ScalarInit::Warp
        | ScalarInit::Cluster(_)
        | ScalarInit::PlaceInCluster(_)
        | ScalarInit::ClusterRank => return None,
    })
}

fn of_warp(launch: &Launch<'_>, init: ScalarInit, at: Place, index: u32) -> u64 {
    let axis = |of: [u32; 3], axis: u8| u64::from(of[axis as usize % 3]);
    match init {
        ScalarInit::BlockIndex(a) => axis(at.block, a),
        ScalarInit::Warp => u64::from(index),
        ScalarInit::Cluster(a) => axis(at.block, a) / axis(launch.cluster, a),
        ScalarInit::PlaceInCluster(a) => axis(at.place, a),
        ScalarInit::ClusterRank => u64::from(at.rank),
        // `of_launch` has the rest.
        _ => 0,
    }
}

/// A parameter's bytes as a register gets them.
fn parameter(parameters: &[u8], offset: u32, bytes: u8, signed: bool) -> u64 {
    let (from, len) = (offset as usize, usize::from(bytes).min(8));
    let mut word = [0; 8];
    if let Some(found) = parameters.get(from..from + len) {
        word[..len].copy_from_slice(found);
    }
    let unused = 64 - 8 * len as u32;
    let value = u64::from_le_bytes(word);
    if signed { ((value << unused) as i64 >> unused) as u64 } else { value }
}

/// What the lanes have of `init` in the warp whose first thread is `first`.
fn lanes(block: [u32; 3], first: u32, init: VectorInit) -> [u32; LANES] {
    let [x, y, _] = block;
    let mut lanes = [0; LANES];
    let mut thread = [first % x, first / x % y, first / x / y];
    for (l, value) in lanes.iter_mut().enumerate() {
        let l = l as u32;
        *value = match init {
            VectorInit::Thread(axis) => thread[usize::from(axis.min(2))],
            VectorInit::Lane => l,
            VectorInit::LaneMask(0) => 1 << l,
            VectorInit::LaneMask(1) => u32::MAX >> (31 - l),
            VectorInit::LaneMask(2) => (1 << l) - 1,
            VectorInit::LaneMask(3) => u32::MAX << l,
            VectorInit::LaneMask(_) => u32::MAX << l & !(1 << l),
        };
        thread[0] += 1;
        if thread[0] == x {
            (thread[0], thread[1]) = (0, thread[1] + 1);
            if thread[1] == y {
                (thread[1], thread[2]) = (0, thread[2] + 1);
            }
        }
    }
    lanes
}
