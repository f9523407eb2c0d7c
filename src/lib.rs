//! The parts of `graphproof` that its tests use beside the command line.

pub mod conformance;
