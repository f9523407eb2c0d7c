//! The parts of `graphproof` beside the command line: receipts, reporters, conformance.

pub mod config;
pub mod conformance;
pub mod receipt;
pub mod report;
