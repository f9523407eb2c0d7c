//! The C entry points.
//!
//! An entry point checks its arguments, calls one method of the safe model
//! ([`crate::software`]) and writes the result; it holds no logic. All go through
//! [`door::enter`], which records the call and keeps panics in. A name of `symbols.txt` without
//! an entry point gets one that answers `CUDA_ERROR_NOT_SUPPORTED` and is recorded.

#[macro_use]
mod macros;

pub(crate) mod args;
pub(crate) mod door;
mod result;
mod table;
#[allow(non_camel_case_types)]
pub mod types;

pub use result::{CUresult, Cuda};
pub use table::{SYMBOLS, Symbol, find};
