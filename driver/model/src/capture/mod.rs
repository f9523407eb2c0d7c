//! Stream capture: a state machine that knows streams, events and threads by name and needs no
//! device.
//!
//! Evidence tags in comments, with their sources: D documented by NVIDIA (cuda.h 13.5, \[PG\] the
//! programming guide), M asserted by a test or report that was run on NVIDIA's driver (\[HT\] ROCm's
//! hip-tests, repository#issue), A only AMD's re-implementation says so (\[clr\]), G a guess. Every G
//! lies in [`unknowns`].

mod events;
mod info;
mod modes;
mod nodes;
mod recapture;
mod sequence;
mod tail;
pub mod unknowns;
mod world;

pub use info::{CaptureInfo, DependencyUpdate};
pub use nodes::capture_work;
pub use recapture::{Mismatch, RecaptureStatus};
pub use world::{CaptureMode, CaptureStatus, CaptureWorld, Placement};
