//! What NVIDIA does not say about capture and nobody has published a measurement of.
//!
//! Each entry is a guess (evidence tag G). `graphproof conformance` on a GPU measures them; to
//! correct the model, change the entry here and nothing else.

use crate::abi::CUresult;

/// An invalidated capture that has not ended still forbids unsafe calls. cuda.h speaks of an
/// "ongoing capture sequence", and a sequence ends with `cuStreamEndCapture`.
pub const INVALIDATED_STILL_FORBIDS: bool = true;
/// An invalidated blocking capture still makes the legacy stream unusable: "until the blocking
/// stream capture is terminated" (cuda.h).
pub const INVALIDATED_STILL_BLOCKS_LEGACY: bool = true;
/// A failed `cuStreamBeginCapture` on a capturing stream invalidates its capture (1.10 h).
pub const BEGIN_TWICE_INVALIDATES: bool = false;
/// `cuStreamEndCapture` on a forked stream (903) invalidates (1.10 d).
pub const END_UNMATCHED_INVALIDATES: bool = false;
/// `cuStreamEndCapture` from another thread (908) invalidates (1.10 d).
pub const END_WRONG_THREAD_INVALIDATES: bool = false;
/// A synchronous copy or fill beside a capture of a non-blocking stream is an unsafe call, as
/// cudaMalloc is (1.10 a). Otherwise it just runs.
pub const SYNC_COPY_IS_UNSAFE: bool = true;
/// The code of a synchronous call where both 906 and 900 apply (1.10 g).
pub const LEGACY_BEFORE_UNSAFE: bool = true;
/// Host wait or query on the legacy stream beside a blocking capture.
pub const SYNC_LEGACY: CUresult = CUresult::STREAM_CAPTURE_IMPLICIT;
/// Host wait or query on a stream whose capture is already invalidated.
pub const SYNC_INVALIDATED: CUresult = CUresult::STREAM_CAPTURE_INVALIDATED;
/// `cuStreamUpdateCaptureDependencies` on a stream whose capture is invalidated.
pub const UPDATE_INVALIDATED: CUresult = CUresult::STREAM_CAPTURE_INVALIDATED;
/// A captured event stays captured after its capture has ended, until it is recorded again: the
/// text of 907 says "last recorded in a capturing stream".
pub const EVENT_STAYS_CAPTURED: bool = true;
/// A capturing stream waits for an event that was never recorded (1.10 i): an empty set of work
/// (cuda.h, cuEventRecord), so nothing crosses the boundary.
pub const WAIT_NEVER_RECORDED: Result<(), CUresult> = Ok(());
/// A capturing stream waits for an event of a capture that has ended.
pub const WAIT_ENDED_IN_CAPTURE: CUresult = CUresult::STREAM_CAPTURE_ISOLATION;
/// An idle stream waits for an event of a capture that has ended; measured for an invalidated one.
pub const WAIT_ENDED_IDLE: CUresult = CUresult::INVALID_VALUE;
/// A capturing stream waits for an event of another, invalidated capture.
pub const WAIT_OTHER_INVALIDATED: CUresult = CUresult::STREAM_CAPTURE_MERGE;
/// The legacy stream waits for an event of a capture of non-blocking streams. It cannot capture.
pub const LEGACY_CANNOT_JOIN: CUresult = CUresult::STREAM_CAPTURE_UNSUPPORTED;
/// `cuStreamAddCallback` and `cuStreamAttachMemAsync` on a capturing stream.
pub const UNSUPPORTED_IN_CAPTURE: CUresult = CUresult::STREAM_CAPTURE_UNSUPPORTED;
/// Work that cannot become a node (a free of a pointer that is no graph allocation (1.10 c), a node
/// type that a conditional body forbids) invalidates the capture: the programming guide's rule for
/// invalid operations.
pub const REFUSED_WORK_INVALIDATES: bool = true;
/// Destroying the origin stream ends its capture: no `cuStreamEndCapture` could.
pub const DESTROYED_ORIGIN_ENDS_CAPTURE: bool = true;
/// What `cuStreamEndCapture` returns when a recapture made fewer nodes than the graph has.
pub const RECAPTURE_INCOMPLETE: CUresult = CUresult::GRAPH_RECAPTURE_FAILURE;
/// What the call returns when the recapture callback refuses a change.
pub const RECAPTURE_REFUSED: CUresult = CUresult::GRAPH_RECAPTURE_FAILURE;

/// Whether a call is potentially unsafe where no row of the table says so (1.10 e).
pub const UNSAFE_CANDIDATES: [(&str, bool); 31] = [
    ("cuArray3DCreate_v2", true),
    ("cuArrayCreate_v2", true),
    ("cuArrayDestroy", true),
    ("cuCtxSetLimit", true),
    ("cuEventCreate", false),
    ("cuEventDestroy_v2", false),
    ("cuEventElapsedTime", true),
    ("cuEventElapsedTime_v2", true),
    ("cuFuncSetAttribute", false),
    ("cuGraphUpload", true),
    ("cuIpcGetEventHandle", true),
    ("cuIpcGetMemHandle", true),
    ("cuLibraryLoadData", false),
    ("cuLibraryUnload", true),
    ("cuMemAddressFree", true),
    ("cuMemAddressReserve", true),
    ("cuMemCreate", true),
    ("cuMemGetAddressRange_v2", false),
    ("cuMemGetInfo_v2", false),
    ("cuMemMap", true),
    ("cuMemPoolCreate", true),
    ("cuMemPoolDestroy", true),
    ("cuMemPoolTrimTo", true),
    ("cuMemRelease", true),
    ("cuMemSetAccess", true),
    ("cuMemUnmap", true),
    ("cuMipmappedArrayCreate", true),
    ("cuMipmappedArrayDestroy", true),
    ("cuPointerGetAttribute", false),
    ("cuStreamCreate", false),
    ("cuStreamDestroy_v2", false),
];
