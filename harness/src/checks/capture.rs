//! Capture legality: the first call that failed, and the rule that it broke.

use super::faults;
use crate::context::Enqueued;
use crate::cuda::CudaError;
use crate::error::StepError;
use crate::finding::{Finding, Site};

const CHECK: &str = "capture";

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
            Finding::new("C13", CHECK).at(other.site()).contrast("the step records as it does eagerly", text)
        }
    }
}

/// The finding for an error that ending the capture returned, although the step returned none.
pub fn from_end(error: &CudaError, enqueued: &[Enqueued]) -> Finding {
    // A fork is made by making another stream wait.
    let fork = enqueued.iter().rev().find(|work| error.code == 904 && work.site.what.starts_with("cuStreamWaitEvent"));
    let finding = match error.code {
        901 => Finding::new("C12", CHECK),
        _ => from_call(error),
    };
    finding.at(fork.map(|work| work.site.clone())).contrast("the capture ends", error.to_string())
}

/// The finding for a call of the harness itself that was refused as if a capture were going on,
/// although none of the harness's is: the step left one open.
pub fn left_open(error: &CudaError, enqueued: &[Enqueued], step: u64) -> Finding {
    let begun = enqueued.iter().rev().find(|work| work.site.what.starts_with("cuStreamBeginCapture"));
    Finding::new("C09", CHECK)
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
        Finding::new("V12", CHECK)
            .at_step(step)
            .at(Some(Site::new(error.function, location)))
            .contrast("CUDA_SUCCESS", error.to_string())
    })
}

/// The catalogue entry of a failing call: first by the error, then by the call.
fn from_call(error: &CudaError) -> Finding {
    let function = error.function;
    let named = |names: &[&str]| names.iter().any(|name| function.starts_with(name));
    let id = match error.code {
        902 => "C06",
        401 | 903 => "C08",
        904 => "C04",
        905 => "C05",
        906 if named(&["cuMemcpyDtoH"]) => "S08",
        906 => "C01",
        907 => "S04",
        908 => "C07",
        901 => "C12",
        _ if named(&["cuStreamSynchronize"]) => "S01",
        _ if named(&["cuStreamQuery"]) => "S02",
        _ if named(&["cuCtxSynchronize"]) => "S03",
        _ if named(&["cuEventSynchronize", "cuEventQuery"]) => "S05",
        _ if named(&["cuMemHost", "cuMemAllocHost", "cuMemFreeHost"]) => "A02",
        _ if named(&["cuMemPool"]) => "A03",
        _ if named(&["cuMemFreeAsync"]) => "A06",
        _ if named(&["cuMemFree"]) => "S10",
        _ if named(&["cuMemAlloc"]) => "A01",
        _ if named(&["cuModuleUnload", "cuGraphDestroy", "cuGraphExecDestroy", "cuLibraryUnload"]) => "A04",
        _ => "C11",
    };
    Finding::new(id, CHECK)
}
