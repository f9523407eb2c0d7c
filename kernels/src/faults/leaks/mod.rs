//! L: growth over many replays.

mod l01_device_memory_grows;
mod l01_graph_memory_grows;
mod l01_pool_grows_slowly;
mod l02_events_pile_up;
mod l02_graphs_pile_up;
mod l04_host_memory_grows;

use super::Fault;

/// In the order of their rows.
pub const FAULTS: &[Fault] = &[
    l01_device_memory_grows::FAULT,
    l01_graph_memory_grows::FAULT,
    l01_pool_grows_slowly::FAULT,
    l02_graphs_pile_up::FAULT,
    l02_events_pile_up::FAULT,
    l04_host_memory_grows::FAULT,
];
