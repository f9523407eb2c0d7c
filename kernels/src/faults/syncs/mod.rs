//! S: hidden synchronisation with the host.

mod s01_sync_own_stream;
mod s02_query_own_stream;
mod s03_sync_context;
mod s04_sync_captured_event;
mod s05_sync_earlier_event;
mod s06_sync_other_stream;
mod s07_other_thread;
mod s08_read_back;
mod s09_pageable_upload;
mod s10_free_in_step;
mod s11_lazy_load;
mod s12_host_spin;
mod s15_tunes_at_first_call;

use super::Fault;

/// In the order of their rows.
pub const FAULTS: &[Fault] = &[
    s01_sync_own_stream::FAULT,
    s02_query_own_stream::FAULT,
    s03_sync_context::FAULT,
    s04_sync_captured_event::FAULT,
    s05_sync_earlier_event::FAULT,
    s06_sync_other_stream::FAULT,
    s07_other_thread::FAULT,
    s08_read_back::FAULT,
    s09_pageable_upload::FAULT,
    s10_free_in_step::FAULT,
    s11_lazy_load::FAULT,
    s12_host_spin::FAULT,
    s15_tunes_at_first_call::FAULT,
];
