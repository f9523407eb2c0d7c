//! A: addresses and allocation.

mod a01_alloc_in_step;
mod a02_host_alloc_in_step;
mod a03_pool_attribute;
mod a04_unload_in_step;
mod a05_graph_allocation_leaks;
mod a06_free_of_earlier_memory;
mod a07_freed_before_replay;
mod a07_freed_behind_table;
mod a08_moved_behind_map;
mod a08_moved_behind_table;
mod a08_moved_in_body;
mod a08_workspace_moves;
mod a09_block_changes_hands;
mod a09_remembered_input;
mod a09_remembered_map;
mod a09_remembered_table;
mod a09_table_of_tables;
mod a10_staging_recycled;
mod a11_pageable_in_graph;
mod a12_host_function_argument;

use super::Fault;

/// In the order of their rows.
pub const FAULTS: &[Fault] = &[
    a01_alloc_in_step::FAULT,
    a02_host_alloc_in_step::FAULT,
    a03_pool_attribute::FAULT,
    a04_unload_in_step::FAULT,
    a05_graph_allocation_leaks::FAULT,
    a06_free_of_earlier_memory::FAULT,
    a07_freed_behind_table::FAULT,
    a07_freed_before_replay::FAULT,
    a08_moved_behind_map::FAULT,
    a08_moved_behind_table::FAULT,
    a08_moved_in_body::FAULT,
    a08_workspace_moves::FAULT,
    a09_remembered_input::FAULT,
    a09_remembered_map::FAULT,
    a09_remembered_table::FAULT,
    a09_table_of_tables::FAULT,
    a09_block_changes_hands::FAULT,
    a10_staging_recycled::FAULT,
    a11_pageable_in_graph::FAULT,
    a12_host_function_argument::FAULT,
];
