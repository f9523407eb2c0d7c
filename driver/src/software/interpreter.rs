//! What the device asks of the PTX interpreter.

use std::num::NonZero;
use std::sync::LazyLock;
use std::thread;

use super::setting;
use graphproof_exec::{Conditional, ExecStats, Fault, Launch, Pool};

/// Executes a launch to its end; `conditionals` are those of the graph that it belongs to.
pub fn run(launch: &Launch<'_>, conditionals: &[Conditional]) -> Result<ExecStats, Box<Fault>> {
    static POOL: LazyLock<Pool> = LazyLock::new(|| {
        let threads = setting("GRAPHPROOF_THREADS").and_then(|text| text.parse().ok());
        let threads: NonZero<usize> =
            threads.or_else(|| thread::available_parallelism().ok()).unwrap_or(NonZero::<usize>::MIN);
        Pool::new(threads.get())
    });
    graphproof_exec::run_in_graph(launch, conditionals, &POOL).map_err(Box::new)
}
