//! The question that a recapture asks: may this node's parameters change?

use std::sync::atomic::Ordering;

use super::graph_params_out::describe_work;
use super::translate::recapture_called;
use super::types::CUstream;
use super::{CUresult, Cuda};
use crate::software::{StreamId, World, driver};

/// A recapture begins.
pub(super) fn begins() {
    driver().recaptures.store(true, Ordering::Release);
}

/// After a call that may have captured work on `stream`, without the driver lock: asks what the
/// recapture has to ask.
///
/// # Errors
/// As [`settle`].
pub(crate) fn after_call(stream: Option<CUstream>) -> Cuda {
    match stream {
        Some(stream) if driver().recaptures.load(Ordering::Acquire) => {
            // A stream that is no stream was the call's own error, if it was one.
            let stream = driver().world().find_stream(stream);
            stream.map_or(Ok(()), settle)
        }
        _ => Ok(()),
    }
}

/// Asks the caller's function about the work that was just captured on `stream`, if it differs from
/// the graph's node.
///
/// # Errors
/// 918 if the function does not return `CUDA_SUCCESS`; the capture is invalidated then.
fn settle(stream: StreamId) -> Cuda {
    let Some((id, mismatch)) = driver().world().capture.take_mismatch(stream) else { return Ok(()) };
    let original = describe_work(&mismatch.original.0, &mismatch.original.1);
    let recaptured = describe_work(&mismatch.recaptured.0, &mismatch.recaptured.1);
    let (function, data) = recapture_called(mismatch.callback);
    let status = mismatch.status as u32;
    // SAFETY: the caller's function, with parameters that live until it returns.
    let answer =
        unsafe { function(data, mismatch.node, (&raw const original).cast(), (&raw const recaptured).cast(), status) };
    let mut world = driver().world();
    let World { capture, graphs, .. } = &mut *world;
    capture.settle(graphs, id, *mismatch, answer == CUresult::SUCCESS)
}
