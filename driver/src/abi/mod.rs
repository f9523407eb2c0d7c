//! The C entry points.
//!
//! An entry point checks its arguments, calls one method of the safe model
//! ([`crate::software`]) and writes the result; it holds no logic. All go through
//! [`door::enter`], which records the call and keeps panics in. A name of `symbols.txt` without
//! an entry point gets one that answers `CUDA_ERROR_NOT_SUPPORTED` and is recorded.

#[macro_use]
mod macros;

pub(crate) mod args;
pub mod capture;
pub(crate) mod door;
pub mod graph;
pub mod graph_exec;
pub mod graph_exec_params;
pub mod graph_memory;
pub mod graph_node_params;
pub mod graph_nodes;
mod graph_params;
pub mod graph_query;
pub(crate) mod graph_recapture;
#[allow(non_camel_case_types, non_snake_case, missing_docs)]
pub mod graph_types;
mod result;
mod table;
#[allow(non_camel_case_types)]
pub mod types;

pub use result::{CUresult, Cuda};
pub use table::{SYMBOLS, Symbol, find};
