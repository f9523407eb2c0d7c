//! Graphs and their instances. (Being written on branch `graph`.)

/// All graphs of the process.
#[derive(Debug, Default)]
pub struct Graphs {}
