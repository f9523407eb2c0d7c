//! Stream capture: its model alone, and through the C ABI.
#![allow(missing_docs, reason = "tests")]

#[macro_use]
#[path = "../abi_support/mod.rs"]
mod abi_support;
mod abi;
mod forks;
mod modes;
mod random;
mod recapture;
mod sequence;
mod support;
