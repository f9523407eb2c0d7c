//! One block: its warps take turns until all have ended.

use super::code::{Code, ScalarInit, VectorInit};
use super::fault::{Fault, FaultKind};
use super::launch::{Launch, WidenedRead};
use super::order::mix;
use super::slot::RegisterFile;
use super::vm::Ctx;
use super::vm::copy::AsyncCopies;
use super::vm::ctx::{Arrival, Event, Overrun, Warp};
use super::vm::split::{Split, Wait};
use super::worker::Worker;

/// Backward branches a warp may take before the others get a turn.
const TURN: u32 = 1 << 14;
/// The same for a lane of a warp whose lanes take turns.
const LANE_TURN: u32 = 1 << 9;
/// Turns used up by some lanes while others wait where the ways meet, before those go their own way:
/// the first may be waiting for them.
const PATIENCE: u32 = 64;

/// A barrier of the block.
#[derive(Default, Clone)]
struct Barrier {
    /// Lanes that have come, by warp.
    arrived: Vec<u32>,
    /// Threads it waits for; 0 for all.
    threads: u32,
    /// Threads that said yes.
    votes: u32,
    /// Something has come since the last completion.
    open: bool,
}

/// Runs a block.
pub(super) fn run(worker: &mut Worker, launch: &Launch<'_>, code: &Code, block: [u32; 3]) -> Result<(), Fault> {
    let [x, y, z] = launch.config.block;
    let threads = x * y * z;
    let warps = threads.div_ceil(32);
    let linear = u64::from(block[0])
        + u64::from(launch.config.grid[0])
            * (u64::from(block[1]) + u64::from(launch.config.grid[1]) * u64::from(block[2]));
    let seed = mix(launch.order_seed ^ mix(linear));
    worker.poison_shared(seed);
    worker.clear_reserved(code);
    for warp in 0..warps {
        prepare(worker, launch, code, block, warp, threads);
    }
    let first = if launch.order_seed == 0 { 0 } else { (seed % u64::from(warps)) as u32 };
    let mut state = State { worker, launch, code, block, warps, barriers: vec![], patience: PATIENCE };
    // A block before this one may have changed to other code.
    state.worker.follow(code);
    state.turns(first)
}

/// Fills the registers of a warp before it starts.
fn prepare(worker: &mut Worker, launch: &Launch<'_>, code: &Code, block: [u32; 3], index: u32, threads: u32) {
    let file = worker.file(index, code.file_bytes);
    let config = &launch.config;
    // SAFETY: `begin` made room for `file_bytes` bytes of each warp; this one does not run yet.
    let mut registers = unsafe { RegisterFile::cleared(file, code.file_bytes) };
    let static_shared = launch.kernel.static_shared_bytes;
    let workspace = worker.workspace;
    for &(slot, init) in &code.scalars {
        let value = match init {
            ScalarInit::Constant(v) => v,
            ScalarInit::Global(n, offset) => {
                launch.globals.get(n as usize).map_or(0, |g| g.wrapping_add(offset as u64))
            }
            ScalarInit::BlockIndex(a) => u64::from(block[a as usize % 3]),
            ScalarInit::BlockSize(a) => u64::from(config.block[a as usize % 3]),
            ScalarInit::GridSize(a) => u64::from(config.grid[a as usize % 3]),
            ScalarInit::Warp => u64::from(index),
            ScalarInit::Warps => u64::from(threads.div_ceil(32)),
            ScalarInit::DynamicShared => u64::from(config.dynamic_shared_bytes),
            ScalarInit::TotalShared => u64::from(config.dynamic_shared_bytes) + u64::from(static_shared),
            ScalarInit::Grid => 0,
            ScalarInit::Workspace => workspace,
        };
        registers.set_uniform(slot, value);
    }
    let [x, y, _] = config.block;
    let lane = |init: VectorInit, l: u32| {
        let t = index * 32 + l;
        match init {
            VectorInit::Thread(0) => t % x,
            VectorInit::Thread(1) => t / x % y,
            VectorInit::Thread(_) => t / x / y,
            VectorInit::Lane => l,
            VectorInit::LaneMask(0) => 1 << l,
            VectorInit::LaneMask(1) => u32::MAX >> (31 - l),
            VectorInit::LaneMask(2) => (1 << l) - 1,
            VectorInit::LaneMask(3) => u32::MAX << l,
            VectorInit::LaneMask(_) => u32::MAX << l & !(1 << l),
        }
    };
    let count = (threads - index * 32).min(32);
    for &(slot, init) in &code.vectors {
        registers.set_vector(slot, std::array::from_fn(|l| lane(init, l as u32)));
    }
    for &(slot, init) in &code.shared_by_lanes {
        let value = lane(init, 0);
        debug_assert!((1..count).all(|l| lane(init, l) == value), "{init:?} is not one value in this block");
        registers.set_uniform(slot, u64::from(value));
    }
    let live = if count == 32 { u32::MAX } else { (1 << count) - 1 };
    let local = worker.local(index, launch.kernel.local_bytes);
    let warp = worker.warp(index);
    warp.file = file;
    warp.active = 0;
    warp.live = live;
    warp.turn = 0;
    warp.join = u32::MAX;
    warp.index = index;
    warp.splits.clear();
    warp.splits.push(Split { pc: 0, mask: live, wait: Wait::Ready });
    warp.copies.clear();
    warp.local = local;
}

struct State<'a, 'b> {
    worker: &'a mut Worker,
    launch: &'a Launch<'b>,
    code: &'a Code,
    block: [u32; 3],
    warps: u32,
    barriers: Vec<Barrier>,
    patience: u32,
}

impl State<'_, '_> {
    fn turns(&mut self, first: u32) -> Result<(), Fault> {
        loop {
            let (mut moved, mut left) = (false, false);
            for n in 0..self.warps {
                let index = (first + n) % self.warps;
                let warp = self.worker.warp(index);
                if warp.live == 0 {
                    continue;
                }
                left = true;
                if runnable(warp) {
                    moved = true;
                    self.turn(index)?;
                }
            }
            if !left {
                return Ok(());
            }
            let parted = (!moved || self.patience == 0) && self.part();
            if !moved && !parted {
                return Err(self.deadlock());
            }
        }
    }

    /// Lets one warp run until it stops.
    fn turn(&mut self, index: u32) -> Result<(), Fault> {
        self.worker.enter(index);
        // Blocks that wait for each other run on threads of their own, more than there are processors.
        let together = self.worker.stop.is_some();
        loop {
            let ctx = &mut self.worker.ctx;
            ctx.fuel = if ctx.warp.turn == 0 && !together { TURN } else { LANE_TURN };
            let inst = ctx.pick();
            interpret(ctx, inst);
            if let Some(overrun) = ctx.overrun.take() {
                self.note(index, overrun);
            }
            let ctx = &mut self.worker.ctx;
            let event = std::mem::replace(&mut ctx.event, Event::None);
            match event {
                Event::Barrier(arrival) => {
                    if let Err(fault) = self.arrive(index, arrival) {
                        self.worker.leave(index);
                        return Err(fault);
                    }
                    if !runnable(&self.worker.ctx.warp) {
                        break;
                    }
                }
                Event::Yield => {
                    self.worker.leave(index);
                    self.complete();
                    return self.poll();
                }
                Event::Fault { kind, lane, pc } => {
                    self.worker.leave(index);
                    return Err(self.fault(kind, index, lane, pc));
                }
                Event::Done | Event::Waiting | Event::None => break,
            }
        }
        self.worker.leave(index);
        self.complete();
        Ok(())
    }

    /// Keeps the first read of the launch that ended behind its memory.
    #[cold]
    fn note(&mut self, index: u32, overrun: Overrun) {
        let Overrun { space, address, size, beyond, pc, lane } = overrun;
        let (ptx_line, ..) = self.code.place(pc as usize);
        let thread = self.thread(index, lane);
        let found = WidenedRead { space, address, size, beyond, ptx_line, block: self.block, thread };
        self.worker.widened = WidenedRead::first(self.worker.widened, Some(found));
    }

    /// `%tid` of a lane of warp `index`.
    fn thread(&self, index: u32, lane: u32) -> [u32; 3] {
        let [x, y, _] = self.launch.config.block;
        let t = index * 32 + (lane & 31);
        [t % x, t / x % y, t / x / y]
    }

    fn poll(&mut self) -> Result<(), Fault> {
        let waits = |warp: &Warp| warp.splits.iter().any(|split| split.wait == Wait::All);
        if self.patience > 0 && (0..self.warps).any(|w| waits(self.worker.warp(w))) {
            self.patience -= 1;
        }
        let mut cancelled = self.launch.cancel.load(std::sync::atomic::Ordering::Relaxed);
        if let Some(stop) = &self.worker.stop {
            cancelled |= stop.load(std::sync::atomic::Ordering::Relaxed);
            std::thread::yield_now();
        }
        if cancelled {
            return Err(self.fault(FaultKind::Cancelled, 0, 0, u32::MAX));
        }
        Ok(())
    }

    /// Notes the active lanes of the running warp at a barrier.
    fn arrive(&mut self, index: u32, arrival: Arrival) -> Result<(), Fault> {
        if self.barriers.is_empty() {
            self.barriers = vec![Barrier { arrived: vec![0; self.warps as usize], ..Barrier::default() }; 16];
        }
        let lanes = self.worker.ctx.warp.active;
        let barrier = &mut self.barriers[arrival.barrier as usize];
        if barrier.open && barrier.threads != arrival.threads {
            let count = |n: u32| if n == 0 { "all threads".to_owned() } else { format!("{n} threads") };
            let why = format!(
                "barrier {} is used for {} and for {} at once",
                arrival.barrier,
                count(barrier.threads),
                count(arrival.threads)
            );
            return Err(self.fault(FaultKind::Barrier(why), index, lanes.trailing_zeros(), arrival.pc));
        }
        barrier.threads = arrival.threads;
        barrier.open = true;
        barrier.arrived[index as usize] |= lanes;
        barrier.votes += (arrival.votes & lanes).count_ones();
        if arrival.passing {
            self.worker.ctx.park(arrival.pc + 1, Wait::Ready);
        } else {
            self.worker.ctx.park_at_barrier(arrival.pc + 1, arrival.barrier, arrival.aligned);
        }
        Ok(())
    }

    /// Opens every barrier that all its threads have reached.
    fn complete(&mut self) {
        for number in 0..self.barriers.len() {
            let barrier = &self.barriers[number];
            if !barrier.open {
                continue;
            }
            let done = if barrier.threads == 0 {
                (0..self.warps).all(|w| self.worker.warp(w).live & !barrier.arrived[w as usize] == 0)
            } else {
                // A warp counts whole once its last lane has come.
                let come: u32 = (0..self.warps)
                    .map(|w| {
                        let (live, arrived) = (self.worker.warp(w).live, barrier.arrived[w as usize]);
                        if arrived != 0 && live & !arrived == 0 { 32 } else { arrived.count_ones() }
                    })
                    .sum();
                come >= barrier.threads
            };
            if !done {
                continue;
            }
            let barrier = &mut self.barriers[number];
            let all = barrier.arrived.iter().map(|a| a.count_ones()).sum();
            self.worker.ctx.barrier_votes[number] = (barrier.votes, all);
            barrier.open = false;
            barrier.votes = 0;
            barrier.arrived.fill(0);
            for w in 0..self.warps {
                for split in &mut self.worker.warp(w).splits {
                    if matches!(split.wait, Wait::Barrier { number: n, .. } if n as usize == number) {
                        split.wait = Wait::Ready;
                    }
                }
            }
        }
    }

    /// Where lanes wait where their ways meet: lets each go its own way. True if there were any.
    fn part(&mut self) -> bool {
        let waits = |warp: &Warp| warp.live != 0 && warp.splits.iter().any(|split| split.wait == Wait::All);
        let (Some(parting), Some(plain)) = (&self.code.parting, &self.launch.kernel.plain) else { return false };
        if !(0..self.warps).any(|w| waits(self.worker.warp(w))) {
            return false;
        }
        self.worker.part(self.code, parting, plain, self.warps);
        self.code = plain;
        true
    }

    fn deadlock(&mut self) -> Fault {
        let mut reasons = Vec::new();
        let mut first = None;
        for w in 0..self.warps {
            let warp = self.worker.warp(w);
            for split in warp.splits.clone() {
                let behind = matches!(split.wait, Wait::Barrier { .. });
                let pc = split.pc.saturating_sub(u32::from(behind));
                let (line, ..) = self.code.place(pc as usize);
                let what = match split.wait {
                    Wait::Barrier { number, .. } => format!("at barrier {number}"),
                    Wait::Lanes { members, .. } => format!("for the lanes of mask {members:#010x}"),
                    Wait::All => "for the rest of the warp".to_owned(),
                    Wait::Ready => "ready".to_owned(),
                };
                first.get_or_insert((w, split.mask.trailing_zeros(), pc));
                if reasons.len() < 4 {
                    reasons.push(format!("warp {w} lanes {:#010x} wait {what} (line {line})", split.mask));
                } else if reasons.len() == 4 {
                    reasons.push("and others".to_owned());
                }
            }
        }
        let gone: u32 = (0..self.warps).filter(|&w| self.worker.warp(w).live == 0).count() as u32;
        if gone > 0 {
            reasons.push(format!("{gone} of {} warps have ended", self.warps));
        }
        let (warp, lane, pc) = first.unwrap_or((0, 0, 0));
        self.fault(FaultKind::Barrier(reasons.join("; ")), warp, lane, pc)
    }

    fn fault(&self, kind: FaultKind, warp: u32, lane: u32, pc: u32) -> Fault {
        let (ptx_line, ptx_text, source) = self.code.place(pc as usize);
        Fault {
            kind,
            kernel: self.launch.kernel.name.clone(),
            ptx_line,
            ptx_text,
            source,
            block: self.block,
            thread: self.thread(warp, lane),
        }
    }
}

/// Whether some lanes of the warp can go on.
fn runnable(warp: &Warp) -> bool {
    warp.splits.iter().any(|s| s.wait == Wait::Ready) || matches!(warp.splits[..], [Split { wait: Wait::All, .. }])
}

/// Executes until the warp stops.
fn interpret(ctx: &mut Ctx, mut inst: *const super::code::Inst) {
    while !inst.is_null() {
        // SAFETY: handlers return null or an instruction of the code; the code ends with an
        // instruction that does not fall through. The decoder chose the handler for this machine.
        inst = unsafe { ((*inst).handler)(ctx, inst) };
    }
}

/// A warp that has not been prepared.
pub(super) fn empty_warp() -> Warp {
    Warp {
        file: std::ptr::null_mut(),
        active: 0,
        live: 0,
        turn: 0,
        join: u32::MAX,
        index: 0,
        splits: Vec::new(),
        copies: AsyncCopies::default(),
        local: std::ptr::null_mut(),
        unguarded: 0,
    }
}
