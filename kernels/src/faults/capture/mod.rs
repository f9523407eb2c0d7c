//! C: structure of the capture.

mod c01_legacy_stream;
mod c02_legacy_copy;
mod c03_foreign_stream;
mod c04_unjoined_fork;
mod c05_isolation;
mod c06_merged_captures;
mod c07_ended_elsewhere;
mod c08_captures_itself;
mod c09_capture_left_open;
mod c10_fork_destroyed;
mod c11_stream_callback;
mod c12_swallowed_error;
mod c13_refuses_capture;
mod e05_body_allocates;

use super::Fault;

/// In the order of their rows.
pub const FAULTS: &[Fault] = &[
    c01_legacy_stream::FAULT,
    c02_legacy_copy::FAULT,
    c03_foreign_stream::FAULT,
    c04_unjoined_fork::FAULT,
    c05_isolation::FAULT,
    c06_merged_captures::FAULT,
    c07_ended_elsewhere::FAULT,
    c08_captures_itself::FAULT,
    c09_capture_left_open::FAULT,
    c10_fork_destroyed::FAULT,
    c11_stream_callback::FAULT,
    c12_swallowed_error::FAULT,
    c13_refuses_capture::FAULT,
    e05_body_allocates::FAULT,
];
