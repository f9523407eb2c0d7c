//! What is told of recorded programs: each fault with its line, and its clean twin without a finding.

mod captures;
mod ends;
mod graphs;
mod memory;
mod program;
