//! What a tool in the same process may ask of the software driver beside the CUDA API.
//!
//! These reach the driver that [`crate::loader::install_software`] installs: it is this program.

use crate::software::driver;
use crate::software::memory::memory;

pub use graphproof_scheduler::order::{BACKWARDS, FORWARDS};

pub use crate::software::fault::{FaultReport, clear_fault, last_fault};
pub use crate::software::memory::Description;

/// Restarts every choice that CUDA leaves open (ready streams, graph nodes, blocks, warps) from
/// `seed`; of the two extremes, [`FORWARDS`] takes what could run first, and [`BACKWARDS`] what could run last, copies
/// of the asynchronous proxy among it. The environment variable `GRAPHPROOF_SEED` sets the first seed.
pub fn set_seed(seed: u64) {
    driver().set_seed(seed);
}

/// What the choices that CUDA leaves open started from.
pub fn seed() -> u64 {
    driver().engine.seed()
}

/// Stops all work in progress: kernels that never end and waits for values that never come. Each
/// context that had work is in error from then on, with `CUDA_ERROR_LAUNCH_TIMEOUT`, until it is
/// reset. Host functions are the program's own and run to their end.
pub fn cancel_all() {
    driver().cancel_all();
}

/// Blocks of kernels that ended so far in this process: a number that stands still while a kernel that
/// never ends holds the device.
pub use graphproof_exec::blocks_ended;

/// Explains an address: which allocation it lies in, or which one it just misses.
pub fn describe(address: u64) -> Description {
    memory().space.describe(address)
}

/// Launches of kernels that are machine code and were not executed (`GRAPHPROOF_OPAQUE_KERNELS`): with any,
/// no value of this process is a result.
pub use crate::software::opaque::launches as opaque_launches;

/// Device memory in use, in bytes, exactly as requested.
pub fn live_bytes() -> u64 {
    memory().space.live()
}

/// The most device memory in use at once since the last reset, in bytes.
pub fn high_water() -> u64 {
    memory().space.high_water()
}

/// Starts the high-water mark again from what is in use.
pub fn reset_high_water() {
    memory().space.reset_high_water();
}
