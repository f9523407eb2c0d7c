//! What belongs to a process: its limits, its environment, its standard error, its libraries.
#![allow(missing_docs, reason = "tests")]

#[macro_use]
#[path = "../abi_support/mod.rs"]
mod abi_support;
mod address_space;
mod cudarc;
mod image_fuzz;
mod ipc;
mod notes;
mod two_drivers;
