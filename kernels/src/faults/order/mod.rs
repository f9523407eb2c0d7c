//! Order of work, and memory outside the step.

mod a13_clears_too_much;
mod a13_weights_in_the_pool;
mod l05_branches_meet;
mod l05_clear_beside_atomics;
mod l05_one_scratch;
mod l05_reads_before_join;
mod l06_copied_out_behind;
mod l06_legacy_fill;
mod l06_plan_stream;
mod l06_two_graphs;

use super::Fault;

/// In the order of their rows.
pub const FAULTS: &[Fault] = &[
    a13_clears_too_much::FAULT,
    a13_weights_in_the_pool::FAULT,
    l05_branches_meet::FAULT,
    l05_clear_beside_atomics::FAULT,
    l05_one_scratch::FAULT,
    l05_reads_before_join::FAULT,
    l06_copied_out_behind::FAULT,
    l06_legacy_fill::FAULT,
    l06_plan_stream::FAULT,
    l06_two_graphs::FAULT,
];
