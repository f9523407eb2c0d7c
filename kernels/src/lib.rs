//! The DSA indexer: CUDA kernels, their committed PTX, typed launchers and the steps.
//!
//! - `cu/` holds the CUDA C++, `ptx/` what the pinned NVRTC makes of it (`regenerate.py`).
//! - [`steps::suite`] and [`steps::step`] give the steps that the harness judges.
//! - [`mod@reference`] computes the same results on the host, in scalar Rust, bit for bit.
//! - [`faults`] plants one fault in a step each, beside a clean twin.
//! - [`peak::Peak`] is what the tensor cores do at most, as a step to measure.
//! - [`memory::memory_story`] gives the closed forms of device memory at any shape.

pub mod checkout;
pub mod compile;
pub mod error;
pub mod faults;
mod host;
pub mod inputs;
pub mod layout;
pub mod memory;
pub mod peak;
pub mod ptx;
pub mod reference;
pub mod shape;
pub mod steps;
pub mod tree;

pub use error::KernelsError;
pub use ptx::PtxSource;
pub use shape::{Shape, ShapeError};
pub use steps::{Lane, step, suite};
pub use tree::{KernelTree, Origin};
