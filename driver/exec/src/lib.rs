//! Typed module → flat decoded code → warp-wide interpreter.
//!
//! [`Program::load`] parses, [`Entry::kernel`] decodes; [`run`] executes a [`Launch`] on a [`Pool`]. These
//! types are the whole contract between the interpreter and the software device.

#![allow(clippy::result_large_err, reason = "a fault ends a launch: it is returned once, with all it has to say")]

pub mod bench;
mod block;
mod code;
mod decode;
mod fault;
mod footprint;
mod grid;
mod isa;
mod launch;
mod order;
mod output;
mod parting;
mod pool;
mod program;
pub mod ptx;
mod registers;
mod room;
mod running;
mod slot;
mod strength;
pub mod tensor_map;
pub mod texture;
mod vm;
mod worker;

pub use crate::ptx::{PtxError, PtxErrorKind};
/// The forms of instructions that are executed, and those that are refused by name.
pub mod forms {
    pub use super::decode::forms::{Forms, executed, expand, refused};
}
pub use fault::{Fault, FaultKind};
pub use footprint::{Access, Footprint, Span};
pub use grid::blocks_ended;
pub use isa::Isa;
pub use launch::{Conditional, ExecStats, Launch, LaunchConfig, MemoryMap, MemoryRange, WidenedRead};
pub use order::{BACKWARDS, FORWARDS};
pub use output::take_output;
pub use pool::Pool;
pub use program::{AddressValue, Entry, GlobalVariable, Kernel, Parameter, Program, ReferenceKind, Target};
pub use running::{Running, run, run_in_graph, run_in_parts};

/// The rate of `%clock64`, in kHz: the device's clock rate.
pub const CLOCK_KHZ: u32 = vm::flow::CLOCK_KHZ;
