//! Measurements of the interpreter: lane-instructions a second, and the cost of a small launch.

mod fma;
mod load;

pub use fma::fma_lanes_per_second;
pub use load::{ENTRIES, LoadBench, load, module};

use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use crate::fault::Fault;
use crate::launch::{ExecStats, Launch, LaunchConfig, MemoryMap};
use crate::pool::Pool;
use crate::program::Program;
use crate::running::run;

/// What [`throughput`] found.
#[derive(Debug, Clone, Copy)]
pub struct Throughput {
    /// What one launch executes.
    pub stats: ExecStats,
    /// Launches made.
    pub launches: u32,
    /// Processor time of this thread for the fastest of them: other load on the machine is not in it.
    pub best: Duration,
}

impl Throughput {
    /// Lane-instructions a second of the fastest launch.
    pub fn lane_instructions_per_second(&self) -> f64 {
        self.stats.lane_instructions as f64 / self.best.as_secs_f64()
    }

    /// Nanoseconds for one warp-instruction of the fastest launch.
    pub fn nanoseconds_per_warp_instruction(&self) -> f64 {
        self.best.as_secs_f64() * 1e9 / self.stats.warp_instructions.max(1) as f64
    }
}

/// Repeats `launch` on one thread for at least `time` and reports the fastest run.
///
/// # Errors
/// The fault of the first launch that has one.
pub fn throughput(launch: &Launch<'_>, time: Duration) -> Result<Throughput, Fault> {
    let pool = Pool::new(1);
    let begin = Instant::now();
    let mut found = Throughput { stats: ExecStats::default(), launches: 0, best: Duration::MAX };
    while found.launches < 3 || begin.elapsed() < time {
        let start = thread_time();
        found.stats = run(launch, &pool)?;
        found.best = found.best.min(thread_time().saturating_sub(start));
        found.launches += 1;
    }
    Ok(found)
}

/// Processor time that the calling thread has used.
fn thread_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a timespec to write to.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

const EMPTY: &str = ".version 8.0\n.target sm_80\n.address_size 64\n.visible .entry empty()\n{\n\tret;\n}\n";

/// Mean time of a launch of an empty kernel with one block of 32 threads on `pool`.
///
/// # Errors
/// None is expected; a fault of the empty kernel would be one.
pub fn launch_overhead(pool: &Pool) -> Result<Duration, Fault> {
    const LAUNCHES: u32 = 2000;
    let Ok(program) = Program::from_ptx(EMPTY) else { return Ok(Duration::ZERO) };
    let Some(kernel) = program.kernel("empty") else { return Ok(Duration::ZERO) };
    let (memory, cancel) = (MemoryMap::default(), AtomicBool::new(false));
    let launch = Launch {
        kernel,
        config: LaunchConfig { grid: [1; 3], block: [32, 1, 1], dynamic_shared_bytes: 0 },
        cluster: [1; 3],
        parameters: &[],
        globals: &[],
        memory: &memory,
        textures: &[],
        order_seed: 0,
        resident: u64::MAX,
        stack_bytes: 0,
        cancel: &cancel,
        footprint: None,
    };
    run(&launch, pool)?;
    let start = Instant::now();
    for _ in 0..LAUNCHES {
        run(&launch, pool)?;
    }
    Ok(start.elapsed() / LAUNCHES)
}
