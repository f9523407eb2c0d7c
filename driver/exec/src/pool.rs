//! Threads that share the blocks of launches.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;

use super::fault::Fault;
use super::grid::{Grid, Workspace, lock};
use super::launch::{Conditional, ExecStats, Launch};

/// Grids with no more threads than this run on the calling thread: waking another costs more.
const INLINE_THREADS: u64 = 256;

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
    jobs: Vec<Job>,
    closed: bool,
}

/// One launch, as the pool's threads see it: valid for as long as it is in the queue, and then until the caller
/// of [`run`] has seen `helpers` fall to zero.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Job(*const Grid<'static>);

// SAFETY: see `Job`; a grid is made to be shared by threads.
unsafe impl Send for Job {}

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
        // SAFETY: it is in the queue, which is locked.
        let job = queue.jobs.iter().map(|job| unsafe { &*job.0 }).find(|grid| grid.open());
        let Some(grid) = job else {
            queue = shared.work.wait(queue).unwrap_or_else(PoisonError::into_inner);
            continue;
        };
        // The queue is still locked: the caller has not taken the job out yet.
        lock(&grid.outcome).helpers += 1;
        drop(queue);
        let done = catch_unwind(AssertUnwindSafe(|| grid.work()));
        if done.is_err() {
            grid.panicked();
        }
        {
            let mut outcome = lock(&grid.outcome);
            outcome.helpers -= 1;
            // With the lock held, so that the grid is still there.
            grid.left.notify_all();
        }
        queue = lock(&shared.queue);
    }
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
    let blocks = gx.saturating_mul(gy).saturating_mul(gz);
    if blocks == 0 || threads == 0 {
        return Ok(ExecStats::default());
    }
    // The device has seen to it that clusters divide the grid.
    let of_cluster = launch.cluster.iter().map(|&n| u64::from(n)).product::<u64>().max(1);
    let kernel = launch.kernel;
    let code = match &kernel.plain {
        Some(plain) if kernel.code.needs_rows && !rows(launch.config.block) => plain,
        _ => &kernel.code,
    };
    // A grid that is larger than the device cannot wait for itself: its counters have the address 0, as in a
    // launch that is not cooperative.
    let waits = code.waits_for_grid() && blocks <= launch.resident;
    let mut counters = Workspace::new();
    let with_counters = waits.then(|| counters.map(launch.memory));
    let launch = Launch { memory: with_counters.as_ref().unwrap_or(launch.memory), ..*launch };
    let count = blocks / of_cluster;
    let grid = Grid::new(&launch, code, conditionals, waits, (count, of_cluster));
    if count == 1 || pool.threads.is_empty() || blocks.saturating_mul(threads) <= INLINE_THREADS {
        grid.work();
    } else {
        share(&grid, count, pool);
    }
    let mut outcome = lock(&grid.outcome);
    match outcome.fault.take() {
        Some((_, fault)) => Err(fault),
        None => Ok(outcome.stats),
    }
}

/// Runs the blocks together with the pool's threads.
fn share(grid: &Grid<'_>, count: u64, pool: &Pool) {
    let job = Job(std::ptr::from_ref(grid).cast());
    lock(&pool.shared.queue).jobs.push(job);
    if count > 2 {
        pool.shared.work.notify_all();
    } else {
        pool.shared.work.notify_one();
    }
    let done = catch_unwind(AssertUnwindSafe(|| grid.work()));
    // No helper joins behind this.
    lock(&pool.shared.queue).jobs.retain(|other| *other != job);
    if done.is_err() {
        grid.panicked();
    }
    let mut outcome = lock(&grid.outcome);
    while outcome.helpers > 0 {
        outcome = grid.left.wait(outcome).unwrap_or_else(PoisonError::into_inner);
    }
}

/// Whether each warp of such a block has one value of `%tid.x / 32`, `%tid.y` and `%tid.z`.
fn rows([x, y, z]: [u32; 3]) -> bool {
    (y == 1 && z == 1) || x.is_multiple_of(32)
}
