//! A cluster of blocks, most often of one: its warps take turns until all have ended.

mod barrier;
mod dependence;
mod report;

use barrier::{Barrier, ClusterBarrier};
pub(super) use dependence::Part;

use std::sync::atomic::Ordering;

use super::code::Code;
use super::fault::{Fault, FaultKind};
use super::launch::{Launch, WidenedRead};
use super::order::{BACKWARDS, FORWARDS, mix};
use super::registers::Place;
use super::vm::Ctx;
use super::vm::ctx::{Event, Overrun, Warp};
use super::vm::dependence::Dependence;
use super::vm::flight::Flight;
use super::vm::split::{Split, Wait};
use super::worker::Worker;

/// Backward branches a warp may take before the others get a turn.
const TURN: u32 = 1 << 14;
/// The same for a lane of a warp whose lanes take turns.
const LANE_TURN: u32 = 1 << 9;
/// Backward branches a warp may take before other blocks get a turn, where the code reads nothing as memory
/// that others write is to be read.
const PLAIN_SLICE: u32 = 64 * TURN;
/// The same for a block that seems to do nothing but ask: it is to look only whether it may go on.
const GLANCE: u32 = 1 << 5;
/// Instructions of all its warps to a backward branch of one, below which a block seems to.
const IDLE: u32 = 8;
/// What a turn counts that ends early: at a barrier.
const SHORT_TURN: u32 = 1 << 4;
/// Turns used up by some lanes while others wait where the ways meet, before those go their own way:
/// the first may be waiting for them.
const PATIENCE: u32 = 64;
/// Times that lanes which sleep for an mbarrier are woken to look, without anything having happened, before
/// nobody is believed to come.
const WAKINGS: u32 = 64;

/// Makes the cluster ready whose first block is `first`.
pub(super) fn start<'a>(
    mut worker: Box<Worker>,
    launch: &'a Launch<'a>,
    code: &'a Code,
    first: [u32; 3],
) -> Cluster<'a> {
    let [x, y, z] = launch.config.block;
    let threads = x * y * z;
    let block_warps = threads.div_ceil(32);
    let [cx, cy, cz] = launch.cluster;
    let linear = u64::from(first[0])
        + u64::from(launch.config.grid[0])
            * (u64::from(first[1]) + u64::from(launch.config.grid[1]) * u64::from(first[2]));
    let seed = mix(launch.order_seed ^ mix(linear));
    worker.poison_shared(seed);
    worker.clear_reserved(code);
    worker.ctx.ended = 0;
    worker.ctx.dependence = Dependence::default();
    worker.ctx.mbarriers.clear();
    worker.ctx.flights.begin(launch.order_seed, mix(seed));
    let ctx = &mut worker.ctx;
    let seen = if code.reads_async { ctx.shared_stride as usize * ctx.ranks as usize } else { 0 };
    ctx.flights.proxy.begin(ctx.cluster_shared, seen);
    let ranks = cx * cy * cz;
    let mut blocks = Vec::with_capacity(ranks as usize);
    for rank in 0..ranks {
        let place = [rank % cx, rank / cx % cy, rank / cx / cy];
        let block = std::array::from_fn(|axis| first[axis] + place[axis]);
        for warp in 0..block_warps {
            prepare(&mut worker, launch, code, Place { block, place, rank }, warp, threads);
        }
        blocks.push(block);
    }
    let warps = block_warps * ranks;
    let turns = match launch.order_seed {
        0 | FORWARDS => Turns { first: 0, step: 1 },
        BACKWARDS => Turns { first: warps - 1, step: warps - 1 },
        _ => Turns { first: (seed % u64::from(warps)) as u32, step: 1 },
    };
    // A block before this one may have changed to other code.
    worker.follow(code);
    Cluster {
        worker,
        launch,
        code,
        blocks,
        block_warps,
        warps,
        barriers: vec![],
        arrived: vec![],
        open: vec![],
        cluster: ClusterBarrier::default(),
        patience: PATIENCE,
        wakings: WAKINGS,
        turns,
        spins: false,
        idles: false,
        part: Part::Whole,
    }
}

/// The order in which the warps have a turn in each round, modulo their number.
#[derive(Clone, Copy)]
struct Turns {
    first: u32,
    step: u32,
}

/// Makes a warp ready to start.
fn prepare(worker: &mut Worker, launch: &Launch<'_>, code: &Code, at: Place, index: u32, threads: u32) {
    let slot = at.rank * threads.div_ceil(32) + index;
    let file = worker.file(slot, launch, code, at, index);
    let count = (threads - index * 32).min(32);
    let live = if count == 32 { u32::MAX } else { (1 << count) - 1 };
    let local = worker.local(slot, launch.local_bytes());
    let warp = worker.warp(slot);
    warp.file = file;
    warp.active = 0;
    warp.live = live;
    warp.turn = 0;
    warp.join = u32::MAX;
    warp.index = index;
    warp.splits.clear();
    warp.splits.push(Split { pc: 0, mask: live, wait: Wait::Ready });
    warp.begun.copies.clear();
    warp.begun.products.clear();
    warp.begun.uses.clear();
    (warp.woken, warp.tests) = (0, 0);
    warp.local = local;
}

/// A cluster of blocks under way.
pub(super) struct Cluster<'a> {
    pub worker: Box<Worker>,
    launch: &'a Launch<'a>,
    code: &'a Code,
    /// `%ctaid` of the blocks, by rank.
    blocks: Vec<[u32; 3]>,
    /// Warps of a block.
    block_warps: u32,
    /// Warps of the cluster; a warp's number is its block's rank times the warps of a block, and its index.
    warps: u32,
    /// Sixteen of each block.
    barriers: Vec<Barrier>,
    /// Lanes that have come to each, by barrier and warp of its block.
    arrived: Vec<u32>,
    /// By block: the barriers to which something has come since they were last completed, a bit each.
    open: Vec<u16>,
    cluster: ClusterBarrier,
    patience: u32,
    wakings: u32,
    turns: Turns,
    /// Blocks of the launch have run for so long that they may be waiting for others.
    spins: bool,
    /// It did little more in its last slice than to ask again and again.
    idles: bool,
    /// How far it is to run.
    part: Part,
}

// SAFETY: the pointers in its worker lead into memory that the worker owns, and to what the launch shares
// among its threads for as long as it runs.
unsafe impl Send for Cluster<'_> {}

/// How a cluster's time has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pause {
    /// All its threads have.
    Ended,
    /// It has run for a while: it may be waiting for another block, which is to run now.
    Slice,
    /// It has come as far as the [`Part`] goes that it was to run.
    Held,
}

/// How a round of turns has ended.
enum Round {
    /// All threads have.
    Ended,
    /// Each warp that could has had a turn: the most backward branches that one took, by estimate.
    Took(u32),
    /// See [`Pause::Held`].
    Held,
}

impl Cluster<'_> {
    /// Runs for a while, with the counts of instructions at 0. `spins`: blocks of the launch have been set aside.
    pub fn run(&mut self, spins: bool, part: Part) -> Result<Pause, Fault> {
        self.spins = spins;
        self.enter_part(part);
        let slice = self.slice();
        let mut left = slice;
        loop {
            match self.round()? {
                Round::Ended => return Ok(Pause::Ended),
                Round::Held => return Ok(Pause::Held),
                Round::Took(cost) => left = left.saturating_sub(cost),
            }
            if left == 0 {
                self.poll()?;
                self.idles = self.worker.ctx.warp_instructions < u64::from(IDLE) * u64::from(slice);
                return Ok(Pause::Slice);
            }
        }
    }

    /// Backward branches of a warp in one go: more than [`TURN`] where it hardly waits for another block,
    /// few where blocks are seen to wait.
    fn slice(&self) -> u32 {
        match (self.code.polls, self.spins) {
            (false, _) => PLAIN_SLICE,
            (true, false) => TURN,
            (true, true) if self.idles => GLANCE,
            (true, true) => LANE_TURN,
        }
    }

    /// Gives each warp a turn.
    fn round(&mut self) -> Result<Round, Fault> {
        loop {
            let (mut moved, mut left, mut cost) = (false, false, SHORT_TURN);
            for n in 0..self.warps {
                let index = (self.turns.first + n * self.turns.step) % self.warps;
                if self.worker.warp(index).live == 0 {
                    continue;
                }
                left = true;
                self.look(index);
                if runnable(self.worker.warp(index)) {
                    moved = true;
                    cost = cost.max(self.turn(index)?);
                    self.ended(index)?;
                    self.time_passes()?;
                    if self.is_to_stop_behind_trigger() {
                        return Ok(Round::Held);
                    }
                }
            }
            if !left {
                // What is still on its way writes nothing that has ended.
                while self.land_next()? {}
                return Ok(Round::Ended);
            }
            if !moved && self.waits_for_grids() {
                // Only what others of its threads sleep for is done meanwhile.
                if self.sleeps() && self.land_next()? {
                    continue;
                }
                return Ok(Round::Held);
            }
            let parted = (!moved || self.patience == 0) && self.part();
            if !moved && !parted && !self.land_next()? && !self.wake() {
                return Err(self.deadlock());
            }
            if moved {
                return Ok(Round::Took(cost));
            }
        }
    }

    /// Lets lanes go on whose phase has ended.
    fn look(&mut self, index: u32) {
        let Worker { ctx, .. } = &*self.worker;
        let ended = |wait: Wait| matches!(wait, Wait::Phase { place, phase } if ctx.mbarriers.ended(place, phase));
        let over: Vec<usize> = {
            let splits = self.worker.splits(index);
            if !splits.iter().any(|split| matches!(split.wait, Wait::Phase { .. })) {
                return;
            }
            (0..splits.len()).filter(|&n| ended(splits[n].wait)).collect()
        };
        if !over.is_empty() {
            self.wakings = WAKINGS;
        }
        for n in over {
            self.worker.warp(index).splits[n].wait = Wait::Ready;
        }
    }

    /// A copy is done: tells its mbarrier.
    fn landed(&mut self, flight: Flight) -> Result<(), Fault> {
        self.wakings = WAKINGS;
        let Some((place, bytes)) = flight.signal else { return Ok(()) };
        self.worker.ctx.mbarriers.complete(place, bytes).map_err(|why| {
            let why = format!("the copy is done and tells its mbarrier of {bytes} bytes: {why}");
            let issuer = flight.issuer;
            self.fault(FaultKind::Misuse(why), issuer.warp, issuer.lane, issuer.pc)
        })
    }

    /// A turn has passed: what is due is done.
    fn time_passes(&mut self) -> Result<(), Fault> {
        if self.worker.ctx.flights.is_empty() {
            return Ok(());
        }
        self.worker.ctx.flights.tick();
        while let Some(flight) = self.worker.ctx.flights.next_due() {
            self.landed(flight)?;
        }
        Ok(())
    }

    /// Nothing else moves: the next copy is done. False if there is none.
    fn land_next(&mut self) -> Result<bool, Fault> {
        let Some(flight) = self.worker.ctx.flights.next() else { return Ok(false) };
        self.landed(flight).map(|()| true)
    }

    /// Lets lanes that sleep for a phase find out that it has not ended, as after the time that `try_wait` takes at
    /// most. False if there are none, or that has led nowhere.
    fn wake(&mut self) -> bool {
        if self.wakings == 0 {
            return false;
        }
        self.wakings -= 1;
        let mut any = false;
        for index in 0..self.warps {
            let warp = self.worker.warp(index);
            for split in &mut warp.splits {
                if matches!(split.wait, Wait::Phase { .. }) {
                    split.wait = Wait::Ready;
                    warp.woken |= split.mask;
                    any = true;
                }
            }
        }
        any
    }

    /// Notes the end of a block whose last warp has ended.
    fn ended(&mut self, index: u32) -> Result<(), Fault> {
        if self.worker.warp(index).live != 0 {
            return Ok(());
        }
        let rank = index / self.block_warps;
        let mut warps = rank * self.block_warps..(rank + 1) * self.block_warps;
        if warps.any(|w| self.worker.warp(w).live != 0) {
            return Ok(());
        }
        self.worker.ctx.ended |= 1 << rank;
        if let Some((issuer, reads)) = self.worker.ctx.flights.using(rank) {
            let verb = if reads { "read" } else { "write" };
            let why = format!("the block ends while this copy may still {verb} its shared memory: a wait is missing");
            return Err(self.fault(FaultKind::Misuse(why), issuer.warp, issuer.lane, issuer.pc));
        }
        Ok(())
    }

    /// Lets one warp run until it stops. The backward branches it took if it could have gone on.
    fn turn(&mut self, index: u32) -> Result<u32, Fault> {
        self.worker.enter(index);
        let most = self.slice().min(TURN);
        loop {
            let ctx = &mut self.worker.ctx;
            let fuel = if ctx.warp.turn == 0 { most } else { LANE_TURN };
            ctx.fuel = fuel;
            let inst = ctx.pick();
            interpret(ctx, inst);
            if let Some(overrun) = ctx.overrun.take() {
                self.note(index, overrun);
            }
            let ctx = &mut self.worker.ctx;
            let event = std::mem::replace(&mut ctx.event, Event::None);
            let went_on = match event {
                Event::Barrier(arrival) => self.arrive(index, arrival),
                Event::Cluster { wait, pc } => self.cluster_barrier(index, wait, pc),
                Event::Grids { pc } => {
                    ctx.park(pc + 1, Wait::Grids);
                    Ok(())
                }
                Event::Triggered { pc } => {
                    ctx.park(pc + 1, Wait::Ready);
                    break;
                }
                Event::Yield => {
                    self.worker.leave(index);
                    self.complete();
                    return self.poll().map(|()| fuel);
                }
                Event::Fault { kind, lane, pc } => {
                    self.worker.leave(index);
                    return Err(self.fault(kind, index, lane, pc));
                }
                Event::Done | Event::Waiting | Event::None => break,
            };
            if let Err(fault) = went_on {
                self.worker.leave(index);
                return Err(fault);
            }
            if !runnable(&self.worker.ctx.warp) {
                break;
            }
        }
        self.worker.leave(index);
        self.complete();
        Ok(0)
    }

    /// Keeps the first read of the launch that ended behind its memory.
    #[cold]
    fn note(&mut self, index: u32, overrun: Overrun) {
        let Overrun { space, address, size, beyond, pc, lane } = overrun;
        let (ptx_line, ..) = self.code.place(pc as usize);
        let thread = self.thread(index, lane);
        let block = self.blocks[(index / self.block_warps) as usize];
        let found = WidenedRead { space, address, size, beyond, ptx_line, block, thread };
        self.worker.widened = WidenedRead::first(self.worker.widened, Some(found));
    }

    fn poll(&mut self) -> Result<(), Fault> {
        let waits = |warp: &Warp| warp.splits.iter().any(|split| split.wait == Wait::All);
        if self.patience > 0 && (0..self.warps).any(|w| waits(self.worker.warp(w))) {
            self.patience -= 1;
        }
        if self.launch.cancel.load(Ordering::Relaxed) {
            return Err(self.fault(FaultKind::Cancelled, 0, 0, u32::MAX));
        }
        Ok(())
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
        local: std::ptr::null_mut(),
        unguarded: 0,
        woken: 0,
        tests: 0,
        begun: Box::default(),
    }
}
