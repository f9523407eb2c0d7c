//! `graphproof`: the command line.
fn main() {}
