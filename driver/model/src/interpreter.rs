//! What the device asks of the PTX interpreter.

use std::num::NonZero;
use std::sync::{Arc, PoisonError};
use std::thread;

use super::{driver, setting};
use graphproof_exec::{Conditional, Launch, Pool, Running};

/// Executes a launch in the parts that `body` asks for; `conditionals` are those of the graph that it belongs to.
pub fn run_in_parts<R>(
    launch: &Launch<'_>,
    conditionals: &[Conditional],
    body: impl FnOnce(&mut Running<'_>) -> R,
) -> R {
    graphproof_exec::run_in_parts(launch, conditionals, &pool(), body)
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
