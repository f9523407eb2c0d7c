//! The C entry points.
//!
//! An entry point checks its arguments, calls one method of the safe model
//! ([`crate::software`]) and writes the result; it holds no logic. All go through
//! `door::enter`, which records the call and keeps panics in. A name of the table
//! (`driver/api/functions.txt`) without an entry point gets one that answers `CUDA_ERROR_NOT_SUPPORTED`
//! and is recorded.

#[macro_use]
mod macros;

pub(crate) mod args;
mod array;
mod capture;
mod context;
mod copy_array;
mod copy_batch;
mod copy_batch_3d;
pub(crate) mod default_stream;
mod device;
pub(crate) mod door;
mod event;
mod function;
mod graph;
mod graph_exec;
mod graph_exec_params;
pub(crate) mod graph_memory;
mod graph_node_params;
mod graph_nodes;
mod graph_params;
mod graph_params_out;
mod graph_query;
pub(crate) mod graph_recapture;
#[allow(non_camel_case_types, non_snake_case, missing_docs)]
pub mod graph_types;
mod green;
mod ipc;
mod jit;
mod launch;
mod library;
mod link;
mod memory;
mod module;
mod pointer;
mod proc_address;
mod stale;
mod stream;
mod table;
mod tensor_map;
mod texture;
mod texture_reference;
mod transfer;
mod translate;
#[allow(non_camel_case_types)]
pub mod types;
mod virtual_memory;

/// What the generated forms of entry points name.
mod imports {
    pub(super) use super::graph_types::*;
    pub(super) use super::types::*;
    pub(super) use super::{CUresult, default_stream};
}

pub use array::*;
pub use capture::*;
pub use context::*;
pub use copy_array::*;
pub use copy_batch::*;
pub use copy_batch_3d::*;
pub use device::*;
pub use event::*;
pub use function::*;
pub use graph::*;
pub use graph_exec::*;
pub use graph_exec_params::*;
pub use graph_memory::*;
pub use graph_node_params::*;
pub use graph_nodes::*;
pub use graph_query::*;
pub use graphproof_api::{CUresult, Cuda};
pub use green::*;
pub use ipc::*;
pub use launch::*;
pub use library::*;
pub use link::*;
pub use memory::*;
pub use module::*;
pub use pointer::*;
pub use proc_address::*;
pub use stream::*;
pub use table::{SYMBOLS, Symbol, find};
pub use tensor_map::*;
pub use texture::*;
pub use texture_reference::*;
pub use transfer::*;
pub use virtual_memory::*;
