//! Arithmetic, conversions and matrix products: every form against a scalar reference that shares
//! no code with the interpreter.
#![allow(missing_docs, reason = "a test")]

#[path = "../ptx_common/mod.rs"]
mod ptx_common;

mod formats;
mod forms;
mod fp8;
mod halves;
mod harness;
mod mma;
mod video;
mod wmma;
