//! The blocks of one launch, shared by the threads that run them.
//!
//! A block runs until it ends. One that has run for a while may be waiting for another by memory (a barrier of
//! the grid, a flag of the block before it, a lock): it is set aside, with its registers and shared memory, and
//! the thread runs another of the launch. So every block that the device holds at once makes progress, as on a
//! GPU, and those behind them start when others have ended.

mod parts;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::block::{self, Cluster, Part, Pause};
use super::code::Code;
use super::fault::{Fault, FaultKind};
use super::launch::{Conditional, ExecStats, Launch, MemoryMap, MemoryRange, WidenedRead};
use super::order::{BACKWARDS, Permutation, mix};
use super::worker::{self, Worker};

/// Device address of the counters by which a grid waits for itself, above every allocation. CUDA hands it to
/// cooperative groups' `grid.sync()` in `%envreg1` and `%envreg2`.
const WORKSPACE: u64 = 0x00ff_0000_0000_0000;
/// Words of the counters.
const WORDS: usize = 64;

/// Blocks that ended, of all launches of the process.
static ENDED: AtomicU64 = AtomicU64::new(0);

/// Blocks that ended so far, of all launches of the process: a sign that kernels go on.
pub fn blocks_ended() -> u64 {
    ENDED.load(Ordering::Relaxed)
}

/// The counters of a grid that waits for itself.
pub(super) struct Workspace([u64; WORDS]);

impl Workspace {
    pub fn new() -> Self {
        Self([0; WORDS])
    }

    /// The launch's memory with them.
    pub fn map(&mut self, memory: &MemoryMap) -> MemoryMap {
        let counters = MemoryRange { base: WORKSPACE, len: 8 * WORDS as u64, host: self.0.as_mut_ptr().cast() };
        MemoryMap { ranges: memory.ranges.iter().copied().chain([counters]).collect() }
    }
}

/// What came of a launch.
#[derive(Default)]
pub(super) struct Outcome {
    /// Threads that help.
    pub helpers: usize,
    pub stats: ExecStats,
    /// The fault of the block that comes first in the order of blocks.
    pub fault: Option<(u64, Fault)>,
}

/// A launch under way. A block stands for a cluster of them where there are clusters.
pub(super) struct Grid<'a> {
    launch: &'a Launch<'a>,
    code: &'a Code,
    conditionals: &'a [Conditional],
    /// Address of the counters by which the grid waits for itself, or 0.
    workspace: u64,
    count: u64,
    /// Blocks that may be under way at once.
    resident: u64,
    order: Permutation,
    next: AtomicU64,
    ended: AtomicU64,
    /// A block has been set aside.
    spins: AtomicBool,
    /// Blocks that are set aside, with their place in the order.
    aside: Mutex<VecDeque<(u64, Cluster<'a>)>>,
    /// How far blocks run now, from this place in the order on; those before it run to their end.
    part: (Part, u64),
    /// Blocks up to this place in the order are started now.
    limit: u64,
    /// Blocks that have come as far as they are to run now, with their place in the order.
    held: Mutex<Vec<(u64, Cluster<'a>)>>,
    /// Blocks that were held go on.
    resumes: bool,
    /// Of a part: how long no block has come to its end.
    stalled: AtomicU64,
    pub stop: AtomicBool,
    pub outcome: Mutex<Outcome>,
    /// A helper has left.
    pub left: Condvar,
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panicking thread leaves counters, not broken data.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a thread does next.
enum Next<'a> {
    Start(u64),
    GoOn(u64, Cluster<'a>),
}

impl<'a> Grid<'a> {
    /// `count` clusters of `blocks` blocks. `workspace`: the grid may wait for itself.
    pub fn new(
        launch: &'a Launch<'a>,
        code: &'a Code,
        conditionals: &'a [Conditional],
        workspace: bool,
        (count, blocks): (u64, u64),
    ) -> Self {
        Self {
            launch,
            code,
            conditionals,
            workspace: if workspace { WORKSPACE } else { 0 },
            count,
            resident: (launch.resident / blocks).max(1),
            order: Permutation::new(count, launch.order_seed),
            next: AtomicU64::new(0),
            ended: AtomicU64::new(0),
            spins: AtomicBool::new(false),
            aside: Mutex::default(),
            part: (Part::Whole, 0),
            limit: count,
            held: Mutex::default(),
            resumes: false,
            stalled: AtomicU64::new(0),
            stop: AtomicBool::new(false),
            outcome: Mutex::default(),
            left: Condvar::new(),
        }
    }

    /// Whether a block is left to be started, or to go on.
    pub fn open(&self) -> bool {
        let left = self.next.load(Ordering::Relaxed) < self.limit || self.resumes && !lock(&self.aside).is_empty();
        left && !self.stop.load(Ordering::Relaxed)
    }

    /// A block to start, else one that has been set aside; one of these first if the device is full.
    fn next(&self) -> Option<Next<'a>> {
        let start = || {
            let n = self.next.fetch_add(1, Ordering::Relaxed);
            (n < self.limit).then_some(Next::Start(n))
        };
        if !self.spins.load(Ordering::Relaxed) && !self.resumes {
            return start();
        }
        let mut aside = lock(&self.aside);
        let under_way = self.next.load(Ordering::Relaxed).min(self.limit) - self.ended.load(Ordering::Relaxed);
        let fresh = if under_way < self.resident || aside.is_empty() { start() } else { None };
        fresh.or_else(|| aside.pop_front().map(|(n, cluster)| Next::GoOn(n, cluster)))
    }

    /// Runs blocks until none is left for this thread.
    pub fn work(&self) {
        let mut idle = vec![worker::take()];
        idle[0].begin(self.launch, self.code, self.conditionals, self.workspace);
        let (mut stats, mut fault) = (ExecStats::default(), None);
        // Since this thread last yielded, of blocks that wait.
        let mut turns = 0;
        while !self.stop.load(Ordering::Relaxed)
            && !self.has_stalled()
            && let Some(next) = self.next()
        {
            let (n, mut cluster) = match next {
                Next::GoOn(n, cluster) => (n, cluster),
                Next::Start(n) => {
                    let first = self.first_of(self.order.get(n));
                    if self.launch.cancel.load(Ordering::Relaxed) {
                        self.stop.store(true, Ordering::Relaxed);
                        fault = Some((n, cancelled(self.launch, first)));
                        break;
                    }
                    let worker = idle.pop().unwrap_or_else(|| self.new_worker());
                    (n, block::start(worker, self.launch, self.code, first))
                }
            };
            let ran = cluster.run(self.spins.load(Ordering::Relaxed), self.part_of(n));
            let worker = &mut cluster.worker;
            stats.warp_instructions += std::mem::take(&mut worker.ctx.warp_instructions);
            stats.lane_instructions += std::mem::take(&mut worker.ctx.lane_instructions);
            stats.widened = WidenedRead::first(stats.widened, worker.widened.take());
            if ran == Ok(Pause::Held) {
                self.moved();
                lock(&self.held).push((n, cluster));
                continue;
            }
            if ran == Ok(Pause::Slice) {
                let weight = cluster.weight();
                let others = {
                    let mut aside = lock(&self.aside);
                    aside.push_back((n, cluster));
                    aside.len()
                };
                self.spins.store(true, Ordering::Relaxed);
                self.waited(weight, others);
                // Other launches may be waited for, too: once all of this one have had their turn, since beside
                // other programs a thread that yields loses a whole slice of theirs.
                turns += 1;
                if turns >= others {
                    turns = 0;
                    std::thread::yield_now();
                }
                continue;
            }
            idle.push(cluster.worker);
            self.ended.fetch_add(1, Ordering::Relaxed);
            self.moved();
            ENDED.fetch_add(self.launch.cluster.iter().map(|&n| u64::from(n)).product(), Ordering::Relaxed);
            if let Err(f) = ran {
                self.stop.store(true, Ordering::Relaxed);
                fault = Some((n, f));
            }
        }
        if let Some(worker) = idle.pop() {
            worker::keep(worker);
        }
        let mut outcome = lock(&self.outcome);
        outcome.stats.warp_instructions += stats.warp_instructions;
        outcome.stats.lane_instructions += stats.lane_instructions;
        outcome.stats.widened = WidenedRead::first(outcome.stats.widened, stats.widened);
        if let Some((n, f)) = fault
            && outcome.fault.as_ref().is_none_or(|(first, _)| n < *first)
        {
            outcome.fault = Some((n, f));
        }
    }

    #[cold]
    fn new_worker(&self) -> Box<Worker> {
        let mut worker = worker::new();
        worker.begin(self.launch, self.code, self.conditionals, self.workspace);
        worker
    }

    /// `%ctaid` of the first block of the `linear`-th cluster.
    fn first_of(&self, linear: u64) -> [u32; 3] {
        let cluster = self.launch.cluster;
        let grid: [u32; 3] = std::array::from_fn(|axis| self.launch.config.grid[axis] / cluster[axis]);
        let [x, y, _] = grid.map(u64::from);
        let place = [(linear % x) as u32, (linear / x % y) as u32, (linear / x / y) as u32];
        std::array::from_fn(|axis| place[axis] * cluster[axis])
    }

    /// Notes that the interpreter itself failed on a thread.
    pub fn panicked(&self) {
        self.stop.store(true, Ordering::Relaxed);
        let fault = Fault {
            kind: FaultKind::Barrier("internal error: the interpreter panicked".to_owned()),
            ..cancelled(self.launch, [0; 3])
        };
        lock(&self.outcome).fault.get_or_insert((u64::MAX, fault));
    }
}

fn cancelled(launch: &Launch<'_>, block: [u32; 3]) -> Fault {
    Fault {
        kind: FaultKind::Cancelled,
        kernel: launch.kernel.name.clone(),
        ptx_line: 0,
        ptx_text: String::new(),
        source: None,
        block,
        thread: [0; 3],
    }
}
