//! The safe model of a CUDA device: capture and graphs.
pub mod graph;
