//! PTX executed, against scalar references that share no code with the interpreter.
#![allow(missing_docs, clippy::result_large_err, clippy::needless_range_loop, reason = "a test")]

mod arrays;
mod bench;
mod cases;
mod chains;
mod clocks;
mod common;
mod convergence;
mod dependents;
mod device_runtime;
mod dynamic_shared;
mod footprint;
mod forms;
mod general;
mod hopper;
mod instructions;
mod math;
mod memory;
mod parts;
mod programs;
mod recursion;
mod refusal;
mod simple;
mod special_registers;
mod tensor_maps;
mod textures;
mod tiles;
mod waiting;
mod widened;
