//! What a thread needs to run blocks, kept from launch to launch.

use std::cell::Cell;

use super::block::empty_warp;
use super::code::Code;
use super::decode::RESERVED_SHARED;
use super::launch::{Conditional, Launch, MemoryRange, WidenedRead};
use super::order::mix;
use super::parting::Parting;
use super::registers::{Place, Start};
use super::room::{Line, Room};
use super::slot::RegisterFile;
use super::vm::Ctx;
use super::vm::ctx::{Event, Warp};
use super::vm::dependence::Dependence;
use super::vm::flight::Flights;
use super::vm::mbarrier::Mbarriers;
use super::vm::split::Split;

/// A thread's memory for running blocks.
pub(super) struct Worker {
    pub ctx: Ctx,
    /// The first widened read of the launch's blocks so far.
    pub widened: Option<WidenedRead>,
    warps: Vec<Warp>,
    files: Room,
    /// Register files of a block that has changed its code.
    parted: Room,
    shared: Room,
    locals: Room,
    hits: Vec<MemoryRange>,
    /// What every warp's registers begin with, and where they do not.
    start: Start,
}

thread_local! {
    static WORKER: Cell<Option<Box<Worker>>> = const { Cell::new(None) };
}

/// The memory that the thread has kept from its last launch, or new one.
pub(super) fn take() -> Box<Worker> {
    WORKER.with(Cell::take).unwrap_or_else(new)
}

pub(super) fn new() -> Box<Worker> {
    Box::new(Worker::new())
}

/// Keeps it for the thread's next launch.
pub(super) fn keep(worker: Box<Worker>) {
    WORKER.with(|kept| kept.set(Some(worker)));
}

impl Worker {
    fn new() -> Self {
        Self {
            ctx: Ctx {
                warp: empty_warp(),
                code: std::ptr::null(),
                file_bytes: 0,
                extras: std::ptr::null(),
                fuel: 1,
                event: Event::None,
                warp_instructions: 0,
                lane_instructions: 0,
                shared: std::ptr::null_mut(),
                shared_len: 0,
                local_len: 0,
                params: std::ptr::null(),
                params_len: 0,
                ranges: std::ptr::null(),
                ranges_len: 0,
                hits: std::ptr::null_mut(),
                textures: &[],
                conditionals: &[],
                barrier_votes: Vec::new(),
                rank: 0,
                ranks: 1,
                block_warps: 1,
                ended: 0,
                dependence: Dependence::default(),
                cluster_shared: std::ptr::null_mut(),
                shared_stride: 0,
                mbarriers: Mbarriers::default(),
                flights: Flights::default(),
                overrun: None,
                footprint: std::ptr::null(),
                strong: None,
            },
            widened: None,
            warps: Vec::new(),
            files: Room::default(),
            parted: Room::default(),
            shared: Room::default(),
            locals: Room::default(),
            hits: Vec::new(),
            start: Start::default(),
        }
    }

    /// Makes ready for the blocks of a launch.
    pub fn begin(&mut self, launch: &Launch<'_>, code: &Code, conditionals: &[Conditional], workspace: u64) {
        let [x, y, z] = launch.config.block;
        let ranks: u32 = launch.cluster.iter().product();
        let block_warps = (x * y * z).div_ceil(32);
        let warps = (block_warps * ranks) as usize;
        // Without dynamic memory the static size is exact.
        let shared = match launch.config.dynamic_shared_bytes {
            0 => launch.kernel.static_shared_bytes,
            bytes => launch.kernel.dynamic_shared_begin + bytes,
        };
        self.files.of(code.file_bytes * warps);
        self.locals.of(launch.local_bytes() as usize * 32 * warps);
        if self.warps.len() < warps {
            self.warps.resize_with(warps, empty_warp);
        }
        let nothing = MemoryRange { base: 0, len: 0, host: std::ptr::null_mut() };
        self.start.begin(launch, code, workspace);
        self.hits.clear();
        self.hits.resize(code.memory_sites as usize, nothing);
        self.ctx.footprint = launch.footprint.map_or(std::ptr::null(), std::ptr::from_ref);
        self.follow(code);
        let ctx = &mut self.ctx;
        (ctx.rank, ctx.ranks, ctx.block_warps) = (0, ranks, block_warps);
        ctx.barrier_votes.clear();
        ctx.barrier_votes.resize(ranks as usize, [(0, 0); 16]);
        ctx.warp_instructions = 0;
        ctx.lane_instructions = 0;
        let stride = if ranks == 1 { shared } else { shared.next_multiple_of(128) };
        ctx.shared = self.shared.of(stride as usize * ranks as usize);
        (ctx.cluster_shared, ctx.shared_stride) = (ctx.shared, stride);
        ctx.shared_len = shared;
        ctx.local_len = launch.local_bytes();
        ctx.params = launch.parameters.as_ptr();
        ctx.params_len = launch.parameters.len() as u32;
        ctx.ranges = launch.memory.ranges.as_ptr();
        ctx.ranges_len = launch.memory.ranges.len();
        ctx.hits = self.hits.as_mut_ptr();
        ctx.conditionals = conditionals;
        ctx.textures = launch.textures;
        ctx.event = Event::None;
        ctx.overrun = None;
        self.widened = None;
    }

    /// Zeroes the shared memory that is the system's own, if the code uses it.
    pub fn clear_reserved(&mut self, code: &Code) {
        let Some(begin) = code.reserved else { return };
        let len = (self.ctx.shared_len.saturating_sub(begin) as usize).min(RESERVED_SHARED as usize);
        for rank in 0..self.ctx.ranks {
            let at = rank as usize * self.ctx.shared_stride as usize + begin as usize;
            // SAFETY: within the shared memory that `begin` has made room for; no warp runs.
            unsafe { std::ptr::write_bytes(self.ctx.cluster_shared.add(at), 0, len) };
        }
    }

    /// Fills shared memory with a pattern that depends on the seed, so that a kernel which reads
    /// what it never wrote does not agree with itself.
    pub fn poison_shared(&mut self, seed: u64) {
        let len = self.ctx.shared_stride as usize * self.ctx.ranks as usize;
        poison(&mut self.shared.lines()[..len.div_ceil(128)], seed);
    }

    /// Runs `code` from now on.
    pub fn follow(&mut self, code: &Code) {
        self.ctx.code = code.insts.as_ptr();
        self.ctx.extras = code.extras.as_ptr();
        self.ctx.file_bytes = code.file_bytes;
        self.ctx.strong = self.ctx.footprint().map(|footprint| footprint.strong_of(code));
    }

    /// Changes the cluster's warps from `code`, by `parting`, to `plain`. None is running.
    pub fn part(&mut self, code: &Code, parting: &Parting, plain: &Code, warps: u32) {
        let parted = self.parted.of(plain.file_bytes * warps as usize);
        for index in 0..warps {
            let warp = &mut self.warps[index as usize];
            let file = parted.wrapping_add(index as usize * plain.file_bytes);
            // SAFETY: `begin` and `of` made room for the files of all warps, and none runs.
            let (from, mut to) = unsafe {
                (RegisterFile::prepared(warp.file, code.file_bytes), RegisterFile::cleared(file, plain.file_bytes))
            };
            parting.part(warp, &from, &mut to);
            warp.file = file;
        }
        self.follow(plain);
    }

    /// Register file of a warp, the one with `index` in its block, as it is before the warp starts.
    pub fn file(&mut self, warp: u32, launch: &Launch<'_>, code: &Code, at: Place, index: u32) -> *mut u8 {
        let file = self.files.first().wrapping_add(warp as usize * code.file_bytes);
        // SAFETY: `begin` made room for the files of all warps; this one does not run yet.
        unsafe { self.start.fill(file, code.file_bytes, launch, at, index) };
        file
    }

    /// Local memory of a warp's lanes.
    pub fn local(&mut self, index: u32, bytes: u32) -> *mut u8 {
        self.locals.first().wrapping_add(index as usize * bytes as usize * 32)
    }

    /// State of a warp that is not running.
    pub fn warp(&mut self, index: u32) -> &mut Warp {
        &mut self.warps[index as usize]
    }

    /// Where the lanes of a warp stand that is not running.
    pub fn splits(&self, index: u32) -> &[Split] {
        &self.warps[index as usize].splits
    }

    /// Makes a warp the running one.
    pub fn enter(&mut self, index: u32) {
        let rank = index / self.ctx.block_warps;
        self.ctx.rank = rank;
        self.ctx.shared = self.ctx.cluster_shared.wrapping_add(rank as usize * self.ctx.shared_stride as usize);
        std::mem::swap(&mut self.ctx.warp, &mut self.warps[index as usize]);
    }

    /// Puts the running warp back.
    pub fn leave(&mut self, index: u32) {
        std::mem::swap(&mut self.ctx.warp, &mut self.warps[index as usize]);
    }
}

fn poison(lines: &mut [Line], seed: u64) {
    // Large in every type: as a float beyond 1e32, as an integer far outside any array.
    let words = (0..).map(|n| (mix(seed.wrapping_add(n)) as u32 & 0x00ff_ffff) | 0x7b00_0000);
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx512f") {
        // SAFETY: the machine has it.
        return unsafe { poison_avx512(lines, words) };
    }
    for (line, word) in lines.iter_mut().zip(words) {
        line.0 = [word; 32];
    }
}

/// As [`poison`]. In intrinsics: of the loop above a compiler makes scattered stores.
///
/// # Safety
/// The machine has AVX-512.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
unsafe fn poison_avx512(lines: &mut [Line], words: impl Iterator<Item = u32>) {
    use std::arch::x86_64::{_mm512_set1_epi32, _mm512_store_si512};
    for (line, word) in lines.iter_mut().zip(words) {
        let half = _mm512_set1_epi32(word as i32);
        let to = line.0.as_mut_ptr();
        // SAFETY: a line has 128 bytes, and begins at a multiple of them.
        unsafe {
            _mm512_store_si512(to.cast(), half);
            _mm512_store_si512(to.add(16).cast(), half);
        }
    }
}
