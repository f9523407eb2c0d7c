//! The conformance suite: case files that say what the CUDA driver API does in stream capture and in
//! graphs, and a runner that asks any libcuda whether it agrees.
//!
//! `tests/conformance/README.md` describes the case files.

pub mod baseline;
pub mod call;
mod cases;
pub mod child;
pub mod expand;
pub mod expect;
pub mod format;
pub mod judge;
pub mod random;
pub mod report;
pub mod run;
pub mod suite;

pub use baseline::newest_golden;
pub use call::api::Driver;
pub use cases::Cases;
pub use child::child_main;
pub use format::driver_version;
pub use suite::{Event, ListedCase, Options, Outcome, bless, list, run};
