//! Threads that share the blocks of launches.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use super::block;
use super::code::Code;
use super::fault::{Fault, FaultKind};
use super::grid;
use super::launch::{Conditional, ExecStats, Launch, WidenedRead};
use super::order::Permutation;
use super::worker;

/// Grids with no more threads than this run on the calling thread: waking another costs more.
const INLINE_THREADS: u64 = 256;

/// Blocks that ended, of all launches of the process.
static ENDED: AtomicU64 = AtomicU64::new(0);

/// Blocks that ended so far, of all launches of the process: a sign that kernels go on.
pub fn blocks_ended() -> u64 {
    ENDED.load(Ordering::Relaxed)
}

/// Persistent threads that run blocks. Several launches may use it at once.
#[derive(Debug)]
pub struct Pool {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    queue: Mutex<Queue>,
    work: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    jobs: Vec<Arc<Job>>,
    closed: bool,
}

/// One launch, as the pool's threads see it.
struct Job {
    /// The launch, its code and its conditionals, valid until the caller of [`run`] has seen `helpers` fall to zero.
    launch: *const Launch<'static>,
    code: *const Code,
    conditionals: *const [Conditional],
    next: AtomicU64,
    count: u64,
    order: Permutation,
    stop: AtomicBool,
    result: Mutex<Outcome>,
    left: Condvar,
}

// SAFETY: the pointers are only followed between joining and leaving a job (`helpers`), and the
// launch they name is shared, not changed.
unsafe impl Send for Job {}
// SAFETY: as above.
unsafe impl Sync for Job {}

impl std::fmt::Debug for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Job").field("blocks", &self.count).finish_non_exhaustive()
    }
}

#[derive(Default)]
struct Outcome {
    helpers: usize,
    /// No more helpers may join.
    closed: bool,
    stats: ExecStats,
    /// The fault of the block that comes first in the order of blocks.
    fault: Option<(u64, Fault)>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panicking thread leaves counters, not broken data.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Pool {
    /// A pool that uses `threads` threads together with the one that launches.
    pub fn new(threads: usize) -> Self {
        let shared = Arc::new(Shared { queue: Mutex::new(Queue::default()), work: Condvar::new() });
        let threads = (1..threads.max(1))
            .filter_map(|n| {
                let shared = shared.clone();
                // Without the thread the others do its share.
                std::thread::Builder::new().name(format!("ptx-{n}")).spawn(move || help(&shared)).ok()
            })
            .collect();
        Self { shared, threads }
    }

    /// Threads that run blocks, the launching one included.
    pub fn threads(&self) -> usize {
        self.threads.len() + 1
    }
}

impl Default for Pool {
    /// One thread for each processor.
    fn default() -> Self {
        Self::new(std::thread::available_parallelism().map_or(1, usize::from))
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        lock(&self.shared.queue).closed = true;
        self.shared.work.notify_all();
        for thread in self.threads.drain(..) {
            // A panic in a helper has already been reported by its launch.
            let _ = thread.join();
        }
    }
}

/// A pool thread's life.
fn help(shared: &Shared) {
    let mut queue = lock(&shared.queue);
    loop {
        if queue.closed {
            return;
        }
        let job = queue
            .jobs
            .iter()
            .find(|j| j.next.load(Ordering::Relaxed) < j.count && !j.stop.load(Ordering::Relaxed))
            .cloned();
        let Some(job) = job else {
            queue = shared.work.wait(queue).unwrap_or_else(PoisonError::into_inner);
            continue;
        };
        drop(queue);
        let joined = {
            let mut outcome = lock(&job.result);
            if !outcome.closed {
                outcome.helpers += 1;
            }
            !outcome.closed
        };
        if joined {
            // SAFETY: `run` waits for `helpers` to fall to zero before it returns.
            let (launch, code, conditionals) = unsafe { (&*job.launch, &*job.code, &*job.conditionals) };
            let work = || blocks(&job, launch, code, conditionals);
            let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
            let mut outcome = lock(&job.result);
            outcome.helpers -= 1;
            if done.is_err() {
                job.stop.store(true, Ordering::Relaxed);
                let fault = broken(launch, PANICKED.to_owned());
                outcome.fault.get_or_insert((u64::MAX, fault));
            }
            job.left.notify_all();
        }
        queue = lock(&shared.queue);
    }
}

const PANICKED: &str = "internal error: the interpreter panicked";

/// What a launch reports when the interpreter itself failed.
pub(super) fn broken(launch: &Launch<'_>, why: String) -> Fault {
    Fault {
        kind: FaultKind::Barrier(why),
        kernel: launch.kernel.name.clone(),
        ptx_line: 0,
        ptx_text: String::new(),
        source: None,
        block: [0; 3],
        thread: [0; 3],
    }
}

/// Runs blocks of a job until none is left.
fn blocks(job: &Job, launch: &Launch<'_>, code: &Code, conditionals: &[Conditional]) {
    worker::with(|worker| {
        worker.begin(launch, code, conditionals);
        let mut fault = None;
        while !job.stop.load(Ordering::Relaxed) {
            let n = job.next.fetch_add(1, Ordering::Relaxed);
            if n >= job.count {
                break;
            }
            if let Err(f) = one(worker, launch, code, job.order.get(n)) {
                job.stop.store(true, Ordering::Relaxed);
                fault = Some((n, f));
                break;
            }
        }
        let mut outcome = lock(&job.result);
        outcome.stats.warp_instructions += worker.ctx.warp_instructions;
        outcome.stats.lane_instructions += worker.ctx.lane_instructions;
        outcome.stats.widened = WidenedRead::first(outcome.stats.widened, worker.widened);
        if let Some((n, f)) = fault
            && outcome.fault.as_ref().is_none_or(|(first, _)| n < *first)
        {
            outcome.fault = Some((n, f));
        }
    });
}

/// Runs a cluster of blocks: the `linear`-th of the grid.
pub(super) fn one(worker: &mut worker::Worker, launch: &Launch<'_>, code: &Code, linear: u64) -> Result<(), Fault> {
    let grid: [u32; 3] = std::array::from_fn(|axis| launch.config.grid[axis] / launch.cluster[axis]);
    let [x, y, _] = grid.map(u64::from);
    let cluster = [(linear % x) as u32, (linear / x % y) as u32, (linear / x / y) as u32];
    let block = std::array::from_fn(|axis| cluster[axis] * launch.cluster[axis]);
    if launch.cancel.load(Ordering::Relaxed) {
        return Err(Fault {
            kind: FaultKind::Cancelled,
            kernel: launch.kernel.name.clone(),
            ptx_line: 0,
            ptx_text: String::new(),
            source: None,
            block,
            thread: [0; 3],
        });
    }
    let ran = block::run(worker, launch, code, block);
    ENDED.fetch_add(launch.cluster.iter().map(|&n| u64::from(n)).product(), Ordering::Relaxed);
    ran
}

/// Executes a launch to its end.
///
/// The geometry is the device's to check; a grid or block with a zero dimension executes nothing.
///
/// # Errors
/// The fault that stopped it. Blocks that ran before or beside it have had their effect.
pub fn run(launch: &Launch<'_>, pool: &Pool) -> Result<ExecStats, Fault> {
    run_in_graph(launch, &[], pool)
}

/// As [`run`], for a kernel node of a graph that has these conditionals.
///
/// # Errors
/// As [`run`].
pub fn run_in_graph(launch: &Launch<'_>, conditionals: &[Conditional], pool: &Pool) -> Result<ExecStats, Fault> {
    let [gx, gy, gz] = launch.config.grid.map(u64::from);
    let threads: u64 = launch.config.block.iter().map(|&n| u64::from(n)).product();
    let count = gx.saturating_mul(gy).saturating_mul(gz);
    if count == 0 || threads == 0 {
        return Ok(ExecStats::default());
    }
    // The device has seen to it that clusters divide the grid.
    let blocks_of_cluster: u64 = launch.cluster.iter().map(|&n| u64::from(n)).product();
    let count = count / blocks_of_cluster.max(1);
    let threads = threads * blocks_of_cluster;
    let kernel = launch.kernel;
    let code = match &kernel.plain {
        Some(plain) if kernel.code.needs_rows && !rows(launch.config.block) => plain,
        _ => &kernel.code,
    };
    if code.waits_for_grid() && count <= grid::MOST {
        return grid::run(launch, code, conditionals, count);
    }
    let order = Permutation::new(count, launch.order_seed);
    if count == 1 || pool.threads.is_empty() || count.saturating_mul(threads) <= INLINE_THREADS {
        return worker::with(|worker| {
            worker.begin(launch, code, conditionals);
            for n in 0..count {
                one(worker, launch, code, order.get(n))?;
            }
            Ok(ExecStats {
                warp_instructions: worker.ctx.warp_instructions,
                lane_instructions: worker.ctx.lane_instructions,
                widened: worker.widened,
            })
        });
    }
    let job = Arc::new(Job {
        launch: std::ptr::from_ref(launch).cast(),
        code,
        conditionals,
        next: AtomicU64::new(0),
        count,
        order,
        stop: AtomicBool::new(false),
        result: Mutex::new(Outcome::default()),
        left: Condvar::new(),
    });
    lock(&pool.shared.queue).jobs.push(job.clone());
    if count > 2 {
        pool.shared.work.notify_all()
    } else {
        pool.shared.work.notify_one()
    }
    let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| blocks(&job, launch, code, conditionals)));
    lock(&pool.shared.queue).jobs.retain(|j| !Arc::ptr_eq(j, &job));
    let mut outcome = lock(&job.result);
    outcome.closed = true;
    if done.is_err() {
        job.stop.store(true, Ordering::Relaxed);
        outcome.fault.get_or_insert((u64::MAX, broken(launch, PANICKED.to_owned())));
    }
    while outcome.helpers > 0 {
        outcome = job.left.wait(outcome).unwrap_or_else(PoisonError::into_inner);
    }
    match outcome.fault.take() {
        Some((_, fault)) => Err(fault),
        None => Ok(outcome.stats),
    }
}

/// Whether each warp of such a block has one value of `%tid.x / 32`, `%tid.y` and `%tid.z`.
fn rows([x, y, z]: [u32; 3]) -> bool {
    (y == 1 && z == 1) || x.is_multiple_of(32)
}
