//! The fuzzer of the C ABI: a generator of arguments, the table of calls, and what watches them.

pub mod calls;
pub mod episode;
pub mod generator;
pub mod handles;
pub mod structures;
pub mod watch;
