//! The fuzzer of the C ABI: a generator of arguments, and the table of calls.

pub mod calls;
pub mod generator;
