//! Threads that share the blocks of launches.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;

use super::grid::{Grid, lock};

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
/// of [`Pool::share`] has seen `helpers` fall to zero.
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

    /// Runs the blocks together with the pool's threads.
    pub(super) fn share(&self, grid: &Grid<'_>) {
        let job = Job(std::ptr::from_ref(grid).cast());
        lock(&self.shared.queue).jobs.push(job);
        if grid.left() > 2 {
            self.shared.work.notify_all();
        } else {
            self.shared.work.notify_one();
        }
        let done = catch_unwind(AssertUnwindSafe(|| grid.work()));
        // No helper joins behind this.
        lock(&self.shared.queue).jobs.retain(|other| *other != job);
        if done.is_err() {
            grid.panicked();
        }
        let mut outcome = lock(&grid.outcome);
        while outcome.helpers > 0 {
            outcome = grid.left.wait(outcome).unwrap_or_else(PoisonError::into_inner);
        }
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
