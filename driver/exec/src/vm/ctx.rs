//! What a handler sees: the running warp, its block and the launch.

use std::sync::Arc;

use super::copy::AsyncCopies;
use super::dependence::Dependence;
use super::fence::Uses;
use super::flight::Flights;
use super::lane::{Lane, Slot};
use super::mbarrier::Mbarriers;
use super::split::Split;
use super::wgmma::Products;
use crate::code::Inst;
use crate::fault::FaultKind;
use crate::footprint::Footprint;
use crate::launch::{Conditional, MemoryRange};
use crate::slot::{DOUBLE, KIND, PREDICATE, SCALAR};
use crate::texture::Texture;

/// Lanes of a warp.
pub(crate) const LANES: usize = 32;
/// All lanes.
pub(crate) const FULL: u32 = u32::MAX;

/// The bits that any lane has. Values of their own, or'd together, become vector code.
#[inline(always)]
pub(crate) fn either(bits: [u32; LANES]) -> u32 {
    let mut all = 0;
    for b in bits {
        all |= b;
    }
    all
}

/// Runs `f` for each active lane.
#[inline(always)]
pub(crate) fn each_active(c: &mut Ctx, mut f: impl FnMut(&mut Ctx, usize)) {
    let mut left = c.warp.active;
    while left != 0 {
        let lane = left.trailing_zeros() as usize & (LANES - 1);
        left &= left - 1;
        f(c, lane);
    }
}

/// Why a warp stopped.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Event {
    /// Nothing happened.
    None,
    /// It ran long enough: others may run, and the launch may be cancelled.
    Yield,
    /// Every lane has exited.
    Done,
    /// No lane can go on until something outside the warp, or another lane, moves.
    Waiting,
    /// Lanes arrive at a barrier of the block.
    Barrier(Arrival),
    /// Lanes arrive at the barrier of the cluster, or wait for it, at an instruction.
    Cluster { wait: bool, pc: u32 },
    /// The block lets dependent grids begin: `griddepcontrol.launch_dependents`.
    Triggered { pc: u32 },
    /// Lanes wait for the grids that theirs depends on: `griddepcontrol.wait`.
    Grids { pc: u32 },
    /// A fault, the lane it concerns, and the instruction.
    Fault { kind: FaultKind, lane: u32, pc: u32 },
}

/// Lanes arriving at a barrier.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Arrival {
    pub barrier: u32,
    /// Threads that the barrier waits for; 0 for all of the block.
    pub threads: u32,
    /// `bar.arrive`: the lanes do not wait.
    pub passing: bool,
    /// `.aligned`, which `bar` always is.
    pub aligned: bool,
    /// Lanes whose predicate is true, for `bar.red`.
    pub votes: u32,
    pub pc: u32,
}

/// A read that ended behind the memory in which it began.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Overrun {
    pub space: &'static str,
    pub address: u64,
    pub size: u32,
    /// Bytes behind the end.
    pub beyond: u32,
    pub pc: u32,
    pub lane: u32,
}

/// State of one warp.
pub(crate) struct Warp {
    /// Its register file.
    pub file: *mut u8,
    /// Lanes that execute now.
    pub active: u32,
    /// Lanes that exist and have not exited.
    pub live: u32,
    /// Lowest place at which other lanes stand ready: reaching it means to look at them.
    pub join: u32,
    /// The lane whose turn it is to run first, as a mask; 0: the lanes at the lowest place do.
    pub turn: u32,
    /// Index in the block.
    pub index: u32,
    pub splits: Vec<Split>,
    /// Its lanes' local memory, lane after lane.
    pub local: *mut u8,
    /// Lanes to restore after a guarded instruction.
    pub unguarded: u32,
    /// Lanes that slept for a phase in vain for so long that they look what there is.
    pub woken: u32,
    /// Tests of an mbarrier that found nothing, one after the other.
    pub tests: u32,
    /// What it has begun and may not have waited for: apart, since few warps have any, and warps take turns.
    pub begun: Box<Begun>,
}

/// What a warp has begun.
#[derive(Default)]
pub(crate) struct Begun {
    pub copies: AsyncCopies,
    /// Products of `wgmma` under way.
    pub products: Products,
    /// What was done with registers since its last `wgmma.fence`, where somebody asks.
    pub uses: Uses,
}

/// Everything a handler may use.
pub(crate) struct Ctx {
    pub warp: Warp,
    pub code: *const Inst,
    /// Bytes of a warp's register file.
    pub file_bytes: usize,
    pub extras: *const u32,
    /// Backward branches left before a [`Event::Yield`].
    pub fuel: u32,
    pub event: Event,
    pub warp_instructions: u64,
    pub lane_instructions: u64,
    pub shared: *mut u8,
    pub shared_len: u32,
    pub local_len: u32,
    pub params: *const u8,
    pub params_len: u32,
    pub ranges: *const MemoryRange,
    pub ranges_len: usize,
    /// Last range hit, by memory instruction.
    pub hits: *mut MemoryRange,
    /// Texture and surface objects, by handle.
    pub textures: *const [Texture],
    /// What `cudaGraphSetConditional` may set.
    pub conditionals: *const [Conditional],
    /// Result of the last reduction at each barrier of each block: threads that said yes, threads.
    pub barrier_votes: Vec<[(u32, u32); 16]>,
    /// Which block of the cluster the running warp belongs to.
    pub rank: u32,
    /// Blocks of the cluster.
    pub ranks: u32,
    /// Warps of a block.
    pub block_warps: u32,
    /// Blocks of the cluster that have ended, a bit each.
    pub ended: u32,
    pub dependence: Dependence,
    /// Shared memory of the cluster's blocks, each `shared_stride` bytes behind the one before.
    pub cluster_shared: *mut u8,
    pub shared_stride: u32,
    pub mbarriers: Mbarriers,
    pub flights: Flights,
    /// The first read since it was last taken that ended behind the memory in which it began.
    pub overrun: Option<Overrun>,
    /// Where the launch's accesses are noted; null where nobody wants to know.
    pub footprint: *const Footprint,
    /// Which instructions of the code are atomic or strong, where accesses are noted.
    pub strong: Option<Arc<[bool]>>,
}

impl Ctx {
    /// Index of `inst` in the code.
    #[inline(always)]
    pub fn pc_of(&self, inst: *const Inst) -> u32 {
        ((inst as usize - self.code as usize) / size_of::<Inst>()) as u32
    }

    /// The instruction at `pc`.
    #[inline(always)]
    pub fn at(&self, pc: u32) -> *const Inst {
        self.code.wrapping_add(pc as usize)
    }

    /// Stops the warp with `event`.
    #[cold]
    pub fn stop(&mut self, event: Event) -> *const Inst {
        self.event = event;
        std::ptr::null()
    }

    /// Records a fault of `lane` at `inst`.
    #[cold]
    pub fn fault(&mut self, inst: &Inst, lane: u32, kind: FaultKind) {
        let pc = self.pc_of(inst);
        self.event = Event::Fault { kind, lane, pc };
    }

    #[inline(always)]
    fn place<T>(&self, operand: u32) -> *mut T {
        let offset = (operand & !KIND) as usize;
        debug_assert!(offset + size_of::<T>() <= self.file_bytes, "an operand outside the register file");
        // SAFETY: the decoder lays the register file out and only emits slots inside it,
        // aligned for what they name; the file is `file_bytes` long.
        unsafe { self.warp.file.add(offset).cast() }
    }

    /// The place of a vector operand's lanes.
    #[inline(always)]
    pub(super) fn vector_place<S: Slot>(&self, operand: u32) -> *mut [S; LANES] {
        let kind = if size_of::<S>() == 8 { DOUBLE } else { 0 };
        debug_assert!(operand & KIND == kind, "operand {operand:#x} is not a vector of {}-byte lanes", size_of::<S>());
        self.place(operand)
    }

    /// The place of a scalar operand.
    #[inline(always)]
    pub(super) fn scalar_place<S: Slot>(&self, operand: u32) -> *mut S {
        debug_assert!(operand & KIND == SCALAR, "operand {operand:#x} is not a scalar");
        self.place(operand)
    }

    /// The place of one lane of an operand of either kind.
    #[inline(always)]
    fn lane_place<S: Slot>(&self, operand: u32, lane: usize) -> *mut S {
        if operand & SCALAR != 0 {
            self.scalar_place(operand)
        } else {
            self.vector_place::<S>(operand).cast::<S>().wrapping_add(lane & (LANES - 1))
        }
    }

    /// All lanes of a vector operand.
    #[inline(always)]
    pub fn vector<S: Slot>(&self, offset: u32) -> [S; LANES] {
        // SAFETY: see `place`; a vector operand names 32 slots of `S`.
        unsafe { *self.vector_place(offset) }
    }

    /// The value of a scalar operand.
    #[inline(always)]
    pub fn scalar<S: Slot>(&self, offset: u32) -> S {
        // SAFETY: see `place`; a scalar slot has 8 bytes, its low bytes first.
        unsafe { *self.scalar_place(offset) }
    }

    /// All lanes of an operand of either kind.
    #[inline(always)]
    pub fn lanes<S: Slot>(&self, offset: u32) -> [S; LANES] {
        if offset & SCALAR != 0 { [self.scalar(offset); LANES] } else { self.vector(offset) }
    }

    /// One lane of an operand of either kind.
    #[inline(always)]
    pub fn lane<S: Slot>(&self, offset: u32, lane: usize) -> S {
        // SAFETY: see `place`; the lane lies inside the operand's slot.
        unsafe { *self.lane_place(offset, lane) }
    }

    /// One lane as a typed value.
    #[inline(always)]
    pub fn get<T: Lane>(&self, offset: u32, lane: usize) -> T {
        T::from_slot(self.lane(offset, lane))
    }

    /// Writes one lane of a destination of either kind.
    #[inline(always)]
    pub fn set_lane<S: Slot>(&mut self, offset: u32, lane: usize, value: S) {
        // SAFETY: as `lane`.
        unsafe { *self.lane_place(offset, lane) = value }
    }

    /// Writes a scalar destination.
    #[inline(always)]
    pub fn set_scalar<S: Slot>(&mut self, offset: u32, value: S) {
        // SAFETY: see `place`.
        unsafe { *self.scalar_place(offset) = value }
    }

    /// Writes the active lanes of a vector destination.
    #[inline(always)]
    pub fn set_vector<S: Slot>(&mut self, offset: u32, value: [S; LANES]) {
        let place = self.vector_place::<S>(offset);
        let active = self.warp.active;
        if active == FULL {
            // SAFETY: see `place`.
            unsafe { *place = value }
        } else {
            // SAFETY: see `place`.
            let old = unsafe { *place };
            let mut new = value;
            for i in 0..LANES {
                new[i] = if active >> i & 1 != 0 { value[i] } else { old[i] };
            }
            // SAFETY: see `place`.
            unsafe { *place = new }
        }
    }

    /// Writes the active lanes of a destination of either kind.
    #[inline(always)]
    pub fn set_lanes<S: Slot>(&mut self, offset: u32, value: [S; LANES]) {
        if offset & SCALAR != 0 {
            self.set_scalar(offset, value[0]);
        } else {
            self.set_vector(offset, value);
        }
    }

    #[inline(always)]
    fn predicate_place(&self, operand: u32) -> *mut u32 {
        debug_assert!(operand & KIND == PREDICATE, "operand {operand:#x} is not a predicate");
        self.place(operand)
    }

    /// A predicate, one bit per lane.
    #[inline(always)]
    pub fn predicate(&self, offset: u32) -> u32 {
        // SAFETY: see `place`; a predicate is four bytes.
        unsafe { *self.predicate_place(offset) }
    }

    /// Writes the active lanes of a predicate.
    #[inline(always)]
    pub fn set_predicate(&mut self, offset: u32, value: u32) {
        let active = self.warp.active;
        let place = self.predicate_place(offset);
        // SAFETY: see `place`.
        unsafe { *place = (*place & !active) | (value & active) }
    }

    /// The `index`-th entry of an operand list that starts at `list`.
    #[inline(always)]
    pub fn extra(&self, list: u32, index: usize) -> u32 {
        // SAFETY: the decoder emits lists that lie inside `extras` and are as long as the
        // handler of their instruction reads.
        unsafe { *self.extras.add(list as usize + index) }
    }
}
