//! Runs a GPU step eagerly, captures it into a CUDA graph, replays the graph over many steps
//! with varying inputs, and reports what is not safe about it.
//!
//! Implement [`step::Step`] for your own work, open a driver with [`driver::open`], and hand both
//! to [`gate::run`]. A program with the command line is `examples/own_step.rs` of the crate graphproof.

pub use cudarc;

pub mod buffers;
pub mod calls;
pub mod capture_as;
pub mod checkout;
pub mod checks;
pub mod compare;
pub mod context;
pub mod cuda;
pub mod digest;
pub mod driver;
pub mod dtype;
pub mod error;
pub mod exit_code;
pub mod finding;
pub mod framework;
pub mod gate;
pub mod geometry;
mod hearing;
pub mod kernels;
mod lane;
mod memory_map;
pub mod nvrtc;
pub mod observed;
mod panics;
pub mod plan;
pub mod probe;
pub mod report;
pub mod resident;
pub mod retry;
pub mod rng;
pub mod spans;
pub mod step;
pub mod topology;
pub mod vocabulary;
pub mod watchdog;
