//! The question that a recapture asks: may this node's parameters change?

use super::Cuda;
use super::graph_params::describe_work;
use crate::abi::CUresult;
use crate::software::{StreamId, World, driver};

/// Asks the caller's function about the work that was just captured on `stream`, if it differs from
/// the graph's node. Call it after each captured work, without the driver lock.
///
/// # Errors
/// 918 if the function does not return `CUDA_SUCCESS`; the capture is invalidated then.
pub(crate) fn settle(stream: StreamId) -> Cuda {
    let Some((id, mismatch)) = driver().world().capture.take_mismatch(stream) else { return Ok(()) };
    let original = describe_work(&mismatch.original.0, &mismatch.original.1);
    let recaptured = describe_work(&mismatch.recaptured.0, &mismatch.recaptured.1);
    let callback = mismatch.callback;
    // SAFETY: the caller's function, with parameters that live until it returns.
    let answer = unsafe {
        (callback.function)(
            callback.data.0,
            mismatch.node,
            (&raw const original).cast(),
            (&raw const recaptured).cast(),
            mismatch.status as u32,
        )
    };
    let mut world = driver().world();
    let World { capture, graphs, .. } = &mut *world;
    capture.settle(graphs, id, *mismatch, answer == CUresult::SUCCESS)
}
