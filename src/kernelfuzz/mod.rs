//! Random kernels, run on one driver and compared with another.
//!
//! An executor that is wrong is wrong in eager run and replay alike, so no check of the gate sees it.
//! Here a kernel comes from a seed: straight lines, branches, loops, every instruction of the
//! [`table`], shared and local memory, barriers, shuffles, votes, atomics, calls, in blocks of any
//! shape. Each thread stores every value that it computed. A GPU's answers are the reference: where
//! PTX promises the bits they are compared bit for bit.

pub mod approximate;
pub mod case;
pub mod check;
pub mod client;
pub mod draw;
pub mod forms;
pub mod generate;
pub mod inputs;
pub mod interpreter;
pub mod ir;
mod pieces;
pub mod print;
pub mod record;
pub mod serve;
pub mod shrink;
pub mod table;
pub mod task;
