//! What the device asks of the PTX interpreter.

use std::num::NonZero;
use std::sync::{Arc, PoisonError};
use std::thread;

use super::{driver, setting};
use graphproof_exec::{Conditional, ExecStats, Fault, Launch, Pool};

/// Executes a launch to its end; `conditionals` are those of the graph that it belongs to.
pub fn run(launch: &Launch<'_>, conditionals: &[Conditional]) -> Result<ExecStats, Box<Fault>> {
    graphproof_exec::run_in_graph(launch, conditionals, &pool()).map_err(Box::new)
}

/// The threads that run the driver's kernels.
fn pool() -> Arc<Pool> {
    let driver = driver();
    let mut pool = driver.interpreter.lock().unwrap_or_else(PoisonError::into_inner);
    let new = || {
        let threads = setting("GRAPHPROOF_THREADS").and_then(|text| text.parse().ok());
        let threads: NonZero<usize> =
            threads.or_else(|| thread::available_parallelism().ok()).unwrap_or(NonZero::<usize>::MIN);
        Arc::new(Pool::new(threads.get()))
    };
    Arc::clone(pool.get_or_insert_with(new))
}
