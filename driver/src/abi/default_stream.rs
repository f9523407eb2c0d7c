//! Which stream the null handle means: the legacy one, or the calling thread's own.
//!
//! The `_ptsz` and `_ptds` forms of a call (since CUDA 7.0; programs built with
//! `--default-stream per-thread` ask for them) are the same call with the second meaning. Such a form
//! says so before it enters, and the door keeps it for as long as the call lasts: a function of the
//! caller that runs within the call gets the meaning of its own calls.

use std::cell::Cell;

use super::types::CUstream;

thread_local! {
    static NEXT: Cell<bool> = const { Cell::new(false) };
    static NOW: Cell<bool> = const { Cell::new(false) };
}

/// The call that this thread makes next has the per-thread default stream.
pub(crate) fn next_is_per_thread() {
    NEXT.with(|next| next.set(true));
}

/// Runs a call with the default stream that was announced for it.
pub(crate) fn within<R>(call: impl FnOnce() -> R) -> R {
    let before = NOW.with(|now| now.replace(NEXT.with(Cell::take)));
    let result = call();
    NOW.with(|now| now.set(before));
    result
}

/// What the null handle means in the present call.
pub(crate) fn meaning() -> CUstream {
    if NOW.with(Cell::get) { CUstream::PER_THREAD } else { CUstream::LEGACY }
}

/// A stream argument for the record: the null handle, and the legacy stream of calls that name none,
/// by what they mean.
pub(crate) fn named(stream: CUstream, has_argument: bool) -> CUstream {
    match meaning() {
        CUstream::PER_THREAD if stream.is_null() || !has_argument => CUstream::PER_THREAD,
        _ => stream,
    }
}
