//! Order of work, memory outside the step, and what a step declares beside itself.

mod a13_clears_too_much;
mod a13_constants_under_scratch;
mod a13_weights_in_the_pool;
mod a14_shared_table;
mod l03_mapped_factor;
mod l03_one_staging;
mod l03_staging_in_the_graph;
mod l05_begins_too_early;
mod l05_boxes_overlap;
mod l05_branches_meet;
mod l05_clear_beside_atomics;
mod l05_one_scratch;
mod l05_reads_before_join;
mod l06_copied_out_behind;
mod l06_host_function_counts;
mod l06_legacy_fill;
mod l06_plan_stream;
mod l06_two_graphs;
mod l07_thread_moves_block;
mod l07_thread_refills_staging;
mod r05_padded_row_stores;
mod r05_padding_is_counted;
mod s16_allocates_at_first_call;
mod s16_grows_at_another_shape;
mod s16_tries_variants;
mod s16_tunes_each_shape;
mod s16_waits_at_first_call;
mod v15_last_block_comes_first;
mod v15_waits_too_late;

use super::Fault;

/// In the order of their rows.
pub const FAULTS: &[Fault] = &[
    a13_clears_too_much::FAULT,
    a13_constants_under_scratch::FAULT,
    a13_weights_in_the_pool::FAULT,
    a14_shared_table::FAULT,
    l03_mapped_factor::FAULT,
    l03_one_staging::FAULT,
    l03_staging_in_the_graph::FAULT,
    l05_begins_too_early::FAULT,
    l05_boxes_overlap::FAULT,
    l05_branches_meet::FAULT,
    l05_clear_beside_atomics::FAULT,
    l05_one_scratch::FAULT,
    l05_reads_before_join::FAULT,
    l06_copied_out_behind::FAULT,
    l06_host_function_counts::FAULT,
    l06_legacy_fill::FAULT,
    l06_plan_stream::FAULT,
    l06_two_graphs::FAULT,
    l07_thread_moves_block::FAULT,
    l07_thread_refills_staging::FAULT,
    r05_padded_row_stores::FAULT,
    r05_padding_is_counted::FAULT,
    s16_allocates_at_first_call::FAULT,
    s16_grows_at_another_shape::FAULT,
    s16_tries_variants::FAULT,
    s16_tunes_each_shape::FAULT,
    s16_waits_at_first_call::FAULT,
    v15_last_block_comes_first::FAULT,
    v15_waits_too_late::FAULT,
];
