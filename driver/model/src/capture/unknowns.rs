//! What NVIDIA does not say about capture and nobody has measured.
//!
//! Each entry is a guess (evidence tag G). `graphproof conformance` on a GPU measures them; an
//! answer moves to the rule that it belongs to, with its source, and leaves this file.

use graphproof_api::CUresult;

/// An invalidated capture that has not ended still forbids unsafe calls. cuda.h speaks of an
/// "ongoing capture sequence", and a sequence ends with `cuStreamEndCapture`.
pub const INVALIDATED_STILL_FORBIDS: bool = true;
/// An invalidated blocking capture still makes the legacy stream unusable: "until the blocking
/// stream capture is terminated" (cuda.h).
pub const INVALIDATED_STILL_BLOCKS_LEGACY: bool = true;
/// What `cuStreamEndCapture` returns when a recapture made fewer nodes than the graph has.
pub const RECAPTURE_INCOMPLETE: CUresult = CUresult::GRAPH_RECAPTURE_FAILURE;
/// What the call returns when the recapture callback refuses a change.
pub const RECAPTURE_REFUSED: CUresult = CUresult::GRAPH_RECAPTURE_FAILURE;
