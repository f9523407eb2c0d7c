//! The C entry points.
//!
//! An entry point checks its arguments, calls one method of the safe model
//! ([`crate::software`]) and writes the result; it holds no logic. All go through
//! [`door::enter`], which records the call and keeps panics in. A name of `symbols.txt` without
//! an entry point gets one that answers `CUDA_ERROR_NOT_SUPPORTED` and is recorded.

#[macro_use]
mod macros;

pub(crate) mod args;
mod context;
mod device;
pub(crate) mod door;
mod event;
mod function;
mod jit;
mod launch;
mod library;
mod memory;
mod module;
mod pointer;
mod proc_address;
mod result;
mod stream;
mod table;
mod transfer;
#[allow(non_camel_case_types)]
pub mod types;

pub use context::*;
pub use device::*;
pub use event::*;
pub use function::*;
pub use launch::*;
pub use library::*;
pub use memory::*;
pub use module::*;
pub use pointer::*;
pub use proc_address::*;
pub use result::{CUresult, Cuda};
pub use stream::*;
pub use table::{SYMBOLS, Symbol, find};
pub use transfer::*;
