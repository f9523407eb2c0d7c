//! L: growth over many replays.

mod l01_device_memory_grows;
mod l02_graphs_pile_up;

use super::Fault;

/// In the order of their rows.
pub const FAULTS: &[Fault] = &[l01_device_memory_grows::FAULT, l02_graphs_pile_up::FAULT];
