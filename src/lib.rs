//! The parts of `graphproof` beside the command line: receipts and their comparison, reporters,
//! conformance, recorded programs.

pub mod config;
pub mod conformance;
pub mod diff;
pub mod kernelfuzz;
pub mod receipt;
pub mod report;
pub mod trace;
