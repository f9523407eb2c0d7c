//! The process-wide state.

use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use super::capture::CaptureWorld;
use super::graph::Graphs;

/// The driver of this process.
#[derive(Debug, Default)]
pub struct Driver {
    world: Mutex<World>,
}

/// Everything behind the one driver lock.
#[derive(Debug, Default)]
pub struct World {
    /// Stream capture.
    pub capture: CaptureWorld,
    /// Graphs and their instances.
    pub graphs: Graphs,
}

impl Driver {
    /// Takes the driver lock. A poisoned lock is taken all the same: each entry point leaves the
    /// world consistent before it can panic, and refusing every later call would help nobody.
    pub fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The driver of this process.
pub fn driver() -> &'static Driver {
    static DRIVER: LazyLock<Driver> = LazyLock::new(Driver::default);
    &DRIVER
}
