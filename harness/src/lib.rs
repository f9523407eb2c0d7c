//! Runs a GPU step eagerly, captures it into a CUDA graph, replays the graph over many steps
//! with varying inputs, and reports what is not safe about it.
pub mod context;
pub mod cuda;
pub mod error;
pub mod step;
