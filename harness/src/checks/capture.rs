//! Capture legality: the first call that failed, and the rule that it broke.

use super::faults;
use crate::context::Enqueued;
use crate::cuda::CudaError;
use crate::error::StepError;
use crate::finding::{Check, Finding, Id, Site};

const CHECK: Check = Check::Capture;

/// The finding for an error that the step returned while it was captured.
pub fn from_step_error(error: &StepError) -> Finding {
    match error {
        StepError::Cuda { error, location } => {
            let site = Some(Site::new(error.function, location));
            match faults::no_model(error, CHECK) {
                Some(finding) => finding.at(site),
                None => from_call(error).at(site).contrast("CUDA_SUCCESS", error.to_string()),
            }
        }
        other => {
            let text = other.to_string();
            Finding::new(Id::C13, CHECK).at(other.site()).contrast("the step records as it does eagerly", text)
        }
    }
}

/// The finding for an error that ending the capture returned, although the step returned none.
pub fn from_end(error: &CudaError, enqueued: &[Enqueued]) -> Finding {
    // A fork is made by making another stream wait.
    let fork = enqueued.iter().rev().find(|work| error.code == 904 && work.site.what.starts_with("cuStreamWaitEvent"));
    let finding = match error.code {
        901 => Finding::new(Id::C12, CHECK),
        _ => from_call(error),
    };
    finding.at(fork.map(|work| work.site.clone())).contrast("the capture ends", error.to_string())
}

/// The finding for a call of the harness itself that was refused as if a capture were going on,
/// although none of the harness's is: the step left one open.
pub fn left_open(error: &CudaError, enqueued: &[Enqueued], step: u64) -> Finding {
    let begun = enqueued.iter().rev().find(|work| work.site.what.starts_with("cuStreamBeginCapture"));
    Finding::new(Id::C09, CHECK)
        .at_step(step)
        .at(begun.map(|work| work.site.clone()))
        .contrast("no capture is open when the step returns", format!("the harness's own call: {error}"))
}

/// The finding for an error of the host's work between replays that comes from the graph, if it
/// does: an event that was recorded in the capture exists only in the graph.
pub fn event_outside(error: &StepError, step: u64) -> Option<Finding> {
    let StepError::Cuda { error, location } = error else { return None };
    let waits =
        ["cuStreamWaitEvent", "cuEventSynchronize", "cuEventQuery"].iter().any(|name| error.function.starts_with(name));
    let refused = matches!(error.code, 1 | 907);
    (waits && refused).then(|| {
        Finding::new(Id::V12, CHECK)
            .at_step(step)
            .at(Some(Site::new(error.function, location)))
            .contrast("CUDA_SUCCESS", error.to_string())
    })
}

/// The catalogue entry of a failing call: first by the error, then by the call.
fn from_call(error: &CudaError) -> Finding {
    Finding::new(id_of(error.function, error.code), CHECK)
}

/// Which fault it is that a call of `function` is answered with `code` while a capture goes on.
pub fn id_of(function: &str, code: u32) -> Id {
    let named = |names: &[&str]| names.iter().any(|name| function.starts_with(name));
    match code {
        902 => Id::C06,
        401 | 903 => Id::C08,
        904 => Id::C04,
        905 => Id::C05,
        906 if named(&["cuMemcpyDtoH"]) => Id::S08,
        906 => Id::C01,
        907 => Id::S04,
        908 => Id::C07,
        901 => Id::C12,
        _ if named(&["cuStreamSynchronize"]) => Id::S01,
        _ if named(&["cuStreamQuery"]) => Id::S02,
        _ if named(&["cuCtxSynchronize"]) => Id::S03,
        _ if named(&["cuEventSynchronize", "cuEventQuery"]) => Id::S05,
        _ if named(&["cuMemHost", "cuMemAllocHost", "cuMemFreeHost"]) => Id::A02,
        _ if named(&["cuMemPool"]) => Id::A03,
        _ if named(&["cuMemFreeAsync"]) => Id::A06,
        _ if named(&["cuMemFree"]) => Id::S10,
        _ if named(&["cuMemAlloc"]) => Id::A01,
        _ if named(&["cuModuleUnload", "cuGraphDestroy", "cuGraphExecDestroy", "cuLibraryUnload"]) => Id::A04,
        _ => Id::C11,
    }
}
