//! What stands around the judge: a [`suite::Suite`] of steps, the configuration of a run, its
//! receipt and the comparison of two, and the reporters.
//!
//! Nothing here knows a kernel: the steps and the parameters that make their shapes come from the
//! suite.

pub mod config;
pub mod diff;
pub mod receipt;
pub mod report;
pub mod suite;
