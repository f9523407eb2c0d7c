//! Grids whose blocks wait for each other: cooperative groups' `grid.sync()`.
//!
//! CUDA hands such a kernel the address of counters in `%envreg1` and `%envreg2`. Every block runs on a
//! thread of its own then, so that each goes on while others wait.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::code::Code;
use super::fault::{Fault, FaultKind};
use super::launch::{Conditional, ExecStats, Launch, MemoryMap, MemoryRange};
use super::{pool, worker};

/// Blocks that run at once. A larger grid cannot wait for itself; its counters have the address 0, as in
/// a launch that is not cooperative.
pub(super) const MOST: u64 = 1024;
/// Device address of the counters, above every allocation.
const WORKSPACE: u64 = 0x00ff_0000_0000_0000;
/// Words of the counters.
const WORDS: usize = 64;

/// Executes a launch of `count` blocks.
pub(super) fn run(
    launch: &Launch<'_>,
    code: &Code,
    conditionals: &[Conditional],
    count: u64,
) -> Result<ExecStats, Fault> {
    let mut counters = [0u64; WORDS];
    let counters = MemoryRange { base: WORKSPACE, len: 8 * WORDS as u64, host: counters.as_mut_ptr().cast() };
    let ranges = launch.memory.ranges.iter().copied().chain([counters]);
    let memory = MemoryMap { ranges: ranges.collect() };
    let launch = Launch { memory: &memory, ..*launch };
    let stop = Arc::new(AtomicBool::new(false));
    let outcome = Mutex::new((ExecStats::default(), None::<Fault>));
    let block = |n: u64| {
        worker::with(|worker| {
            worker.begin(&launch, code, conditionals);
            (worker.workspace, worker.stop) = (WORKSPACE, Some(stop.clone()));
            let result = pool::one(worker, &launch, code, n);
            (worker.workspace, worker.stop) = (0, None);
            let mut outcome = outcome.lock().unwrap_or_else(PoisonError::into_inner);
            outcome.0.warp_instructions += worker.ctx.warp_instructions;
            outcome.0.lane_instructions += worker.ctx.lane_instructions;
            if let Err(fault) = result {
                stop.store(true, Ordering::Relaxed);
                // Blocks that were stopped for another's fault have nothing to say.
                if outcome.1.as_ref().is_none_or(|first| first.kind == FaultKind::Cancelled) {
                    outcome.1 = Some(fault);
                }
            }
        });
    };
    std::thread::scope(|scope| {
        let block = &block;
        for n in 1..count {
            if std::thread::Builder::new().spawn_scoped(scope, move || block(n)).is_err() {
                // The others would wait for it for ever.
                stop.store(true, Ordering::Relaxed);
                let why = format!("no thread for block {n} of {count}, which wait for each other");
                let fault = pool::broken(&launch, why);
                outcome.lock().unwrap_or_else(PoisonError::into_inner).1 = Some(fault);
                break;
            }
        }
        block(0);
    });
    match outcome.into_inner().unwrap_or_else(PoisonError::into_inner) {
        (_, Some(fault)) => Err(fault),
        (stats, None) => Ok(stats),
    }
}
