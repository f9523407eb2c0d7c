//! V: values baked in, or carried over.

mod v01_baked_beside_address;
mod v01_baked_scalar;
mod v02_frozen_branch;
mod v03_random_offset;
mod v04_capture_aware;
mod v05_node_comes_and_goes;
mod v06_update_refused;
mod v07_not_deterministic;
mod v07_reads_uninitialised;
mod v08_input_modified;
mod v11_degenerate_capture;
mod v12_captured_event_used_outside;
mod v13_empty_graph;
mod v14_first_run_only;

use super::Fault;

/// In the order of their rows.
pub const FAULTS: &[Fault] = &[
    v01_baked_scalar::FAULT,
    v01_baked_beside_address::FAULT,
    v02_frozen_branch::FAULT,
    v03_random_offset::FAULT,
    v04_capture_aware::FAULT,
    v05_node_comes_and_goes::FAULT,
    v06_update_refused::FAULT,
    v07_not_deterministic::FAULT,
    v07_reads_uninitialised::FAULT,
    v08_input_modified::FAULT,
    v11_degenerate_capture::FAULT,
    v12_captured_event_used_outside::FAULT,
    v13_empty_graph::FAULT,
    v14_first_run_only::FAULT,
];
