//! What NVIDIA does not say about capture and nobody has measured.
//!
//! Each entry is a guess (evidence tag G). `graphproof conformance` on a GPU measures them; an
//! answer moves to the rule that it belongs to, with its source, and leaves this file.

use crate::abi::CUresult;

/// An invalidated capture that has not ended still forbids unsafe calls. cuda.h speaks of an
/// "ongoing capture sequence", and a sequence ends with `cuStreamEndCapture`.
pub const INVALIDATED_STILL_FORBIDS: bool = true;
/// An invalidated blocking capture still makes the legacy stream unusable: "until the blocking
/// stream capture is terminated" (cuda.h).
pub const INVALIDATED_STILL_BLOCKS_LEGACY: bool = true;
/// Host wait or query on a stream whose capture is already invalidated.
pub const SYNC_INVALIDATED: CUresult = CUresult::STREAM_CAPTURE_INVALIDATED;
/// A capturing stream waits for an event of a capture that has ended.
pub const WAIT_ENDED_IN_CAPTURE: CUresult = CUresult::STREAM_CAPTURE_ISOLATION;
/// A capturing stream waits for an event of another, invalidated capture.
pub const WAIT_OTHER_INVALIDATED: CUresult = CUresult::STREAM_CAPTURE_MERGE;
/// `cuEventElapsedTime` with an event of a capture that has ended: as `cuEventQuery`, measured.
pub const ELAPSED_AFTER_CAPTURE: CUresult = CUresult::INVALID_VALUE;
/// What `cuStreamEndCapture` returns when a recapture made fewer nodes than the graph has.
pub const RECAPTURE_INCOMPLETE: CUresult = CUresult::GRAPH_RECAPTURE_FAILURE;
/// What the call returns when the recapture callback refuses a change.
pub const RECAPTURE_REFUSED: CUresult = CUresult::GRAPH_RECAPTURE_FAILURE;
