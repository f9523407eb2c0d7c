//! Calls of another driver of this process, heard by a recorder in front of it: they join a recording as those
//! of the software driver do.

use graphproof_api::{Class, Function};

use super::stack::{asked, stack};
use super::{Arguments, Call, Capture, recorder};
use crate::ThreadId;
use graphproof_api::CUresult;

/// A call that another driver has answered, on the thread that made it.
#[derive(Debug, Clone, Copy)]
pub struct Outside<'a> {
    /// The exported name.
    pub function: &'static str,
    /// The stream, as given.
    pub stream: Option<u64>,
    /// Its arguments, as words, as far as they are known.
    pub words: &'a [u64],
    /// Capture status of its stream before it and after it.
    pub capture: [Capture; 2],
    /// `CUresult` as a number.
    pub result: u32,
    /// Host time in the call, in nanoseconds.
    pub duration_ns: u64,
}

/// Adds a call to the recording, if one is on.
///
/// How long the host waited inside the call is not told by another driver: of a call that may wait, its whole
/// time counts.
///
/// # Safety
/// What a successful call of that name and these arguments wrote through them can be read.
pub unsafe fn hear(call: &Outside<'_>) {
    // Who called may be asked for under a lock of another language: before ours is held.
    asked(|| add(call));
}

fn add(call: &Outside<'_>) {
    let result = CUresult(call.result);
    let mut guard = recorder();
    let Some(recorder) = guard.as_mut() else { return };
    let sequence = recorder.sequence;
    recorder.sequence += 1;
    let ended_ns = recorder.started.elapsed().as_nanos() as u64;
    let waits = graphproof_api::find(call.function).is_some_and(may_wait);
    let call = Call {
        sequence,
        function: call.function,
        thread: ThreadId::current(),
        stream: call.stream,
        arguments: Arguments::of(call.function, call.words, result),
        capture_before: call.capture[0],
        capture_after: call.capture[1],
        result,
        start_ns: ended_ns.saturating_sub(call.duration_ns),
        duration_ns: call.duration_ns,
        blocked_ns: if waits { call.duration_ns } else { 0 },
        unsupported: result == CUresult::NOT_SUPPORTED,
        note: None,
        backtrace: (recorder.options.backtraces)(call.function).then(stack),
    };
    recorder.recording.push(call, recorder.options.capacity, recorder.options.keep_newest);
}

/// Whether a call may make the host wait for the device: what says so, a copy of host memory, and what frees
/// memory that work in progress may use.
fn may_wait(row: &Function) -> bool {
    let copies = row.base().starts_with("cuMemcpy");
    matches!(row.class, Class::Sync | Class::Legacy) || copies || row.base().starts_with("cuMemFree")
}

#[cfg(test)]
mod tests {
    use super::may_wait;

    #[test]
    fn calls_that_may_wait_are_known_by_the_table() {
        let waits = |name| may_wait(graphproof_api::find(name).expect("in the table"));
        let all =
            ["cuStreamSynchronize_ptsz", "cuMemcpyHtoD_v2", "cuMemcpyHtoDAsync_v2", "cuMemFree_v2", "cuMemFreeHost"];
        assert!(all.into_iter().all(waits));
        assert!(!["cuLaunchKernel", "cuEventQuery", "cuMemAlloc_v2", "cuStreamDestroy_v2"].into_iter().any(waits));
    }
}
