//! G: real failures of indexers, in the indexer's own kernels and host code.

mod g01_validation_reads_back;
mod g02_item;
mod g03_boolean_mask;
mod g04_scratch_reallocated;
mod g05_output_per_call;
mod g06_logits_per_call;
mod g07_metadata_rebuilt;
mod g08_short_context_branch;
mod g09_missing_memset;
mod g10_arrival_counter;
mod g12_stale_schedule;
mod g13_all_zero_lengths;
mod g14_stale_padding;
mod g15_partly_masked;
mod g17_candidate_overflow;
mod g18_first_come_ties;
mod g20_event_across_segments;
mod g21_frozen_dispatch;
mod g22_running_max;
mod g23_stale_block_table;

use super::Fault;

/// In the order of their rows.
pub const FAULTS: &[Fault] = &[
    g01_validation_reads_back::FAULT,
    g02_item::FAULT,
    g03_boolean_mask::FAULT,
    g04_scratch_reallocated::FAULT,
    g05_output_per_call::FAULT,
    g06_logits_per_call::FAULT,
    g07_metadata_rebuilt::FAULT,
    g08_short_context_branch::FAULT,
    g09_missing_memset::FAULT,
    g10_arrival_counter::FAULT,
    g12_stale_schedule::FAULT,
    g13_all_zero_lengths::FAULT,
    g14_stale_padding::FAULT,
    g15_partly_masked::FAULT,
    g17_candidate_overflow::FAULT,
    g18_first_come_ties::FAULT,
    g20_event_across_segments::FAULT,
    g21_frozen_dispatch::FAULT,
    g22_running_max::FAULT,
    g23_stale_block_table::FAULT,
];
