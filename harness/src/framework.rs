//! Steps of a framework that captures, replays and allocates by itself, as PyTorch does.

use std::fmt;
use std::sync::Arc;

use cudarc::driver::sys::{CUgraph, CUgraphExec, CUstream};

use crate::capture_as::CaptureMode;
use crate::error::StepResult;
use crate::finding::Site;

/// Stands for the driver's function in an error that a framework told without it; where calls are recorded, the
/// record has its name.
pub const UNNAMED: &str = "a call of the framework";

/// How a step's own framework captures, in place of the driver's calls: its allocator and its random numbers
/// have to know of a capture.
pub trait Capturer: Send + Sync {
    /// Begins capture on `stream`.
    ///
    /// # Errors
    /// The framework's.
    fn begin(&self, stream: CUstream, mode: CaptureMode) -> StepResult<()>;

    /// Ends it, whatever happened in between: nothing of it may be left behind.
    ///
    /// # Errors
    /// The framework's: the capture gave no graph.
    fn end(&self) -> StepResult<Arc<dyn FrameworkGraph>>;
}

/// A graph that a framework captured. It owns the handles, and lives as long as they are used.
pub trait FrameworkGraph: fmt::Debug + Send + Sync {
    /// The graph, which is not instantiated yet.
    fn graph(&self) -> CUgraph;

    /// Whether an address lies in memory that belongs to this graph alone, such as its private pool. Another
    /// capture has another there, which means the same.
    fn owns(&self, address: u64) -> bool;

    /// Whether an address lies in memory that the framework handed out during this capture, from a pool that
    /// takes it back when its array goes. Another capture has another there too, and may find this one taken back.
    fn handed_out(&self, address: u64) -> bool {
        let _ = address;
        false
    }

    /// Makes the executable graph.
    ///
    /// # Errors
    /// The framework's.
    fn instantiate(&self) -> StepResult<CUgraphExec>;

    /// Enqueues one replay on `stream`.
    ///
    /// # Errors
    /// The framework's.
    fn replay(&self, stream: CUstream) -> StepResult<()>;
}

/// Memory that a graph points at and that the step's framework has taken back.
#[derive(Debug, Clone)]
pub struct Lost {
    /// The address that was asked for.
    pub address: u64,
    /// What the framework says of it.
    pub what: String,
    /// Where it was allocated, where that is known.
    pub allocated: Option<Site>,
}
