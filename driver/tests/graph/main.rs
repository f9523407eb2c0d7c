//! Graphs and executable graphs: their model alone, and through the C ABI.
#![allow(missing_docs, reason = "tests")]

#[macro_use]
#[path = "../abi_support/mod.rs"]
mod abi_support;
mod abi;
mod conditional;
mod exec;
mod kernel;
mod memory;
mod model;
mod random;
mod source;
mod update;
