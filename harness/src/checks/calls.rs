//! What the call record says: which call of a step would wait, whose call broke a capture, and what
//! the host overlooked.

use cudarc::driver::sys::CUstream;

use super::faults;
use crate::calls::{Calls, Told, stream_number};
use crate::cuda::CudaError;
use crate::error::StepError;
use crate::finding::{Check, Finding, Id, Place, Severity, Site};
use crate::framework;

const CHECK: Check = Check::HiddenSyncs;

/// Of an eager run: calls that belong before the step.
pub fn eager(calls: &Calls, step: u64) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(load) = calls.first_of(&["cuModuleLoad", "cuLibraryLoad"]) {
        let seen = format!("{} inside the step", load.function);
        findings.push(
            place(Finding::new(Id::S11, CHECK), &load)
                .at_step(step)
                .contrast("every kernel is loaded before the step", seen),
        );
    }
    findings
}

/// Calls that wait for the device, or ask whether it is done.
const WAITS: &[&str] =
    &["cuEventSynchronize", "cuStreamSynchronize", "cuCtxSynchronize", "cuEventQuery", "cuStreamQuery"];

/// Calls that put a kernel or a graph on a stream.
const LAUNCHES: &[&str] = &["cuLaunchKernel", "cuLaunchCooperativeKernel", "cuGraphLaunch"];

/// Of the first eager run beside a later one on the same inputs: what only the first does. A first run
/// that allocates fills a cache; one that launches and waits tries something out.
pub fn first_run(first: &Calls, later: &Calls, step: u64) -> Option<Finding> {
    let more = |names| first.count(names).checked_sub(later.count(names)).filter(|more| *more > 0);
    let (waits, launches) = (more(WAITS)?, more(LAUNCHES)?);
    let wait = first.first_of(WAITS)?;
    let finding = Finding { severity: Severity::Warning, ..Finding::new(Id::S15, CHECK) };
    Some(place(finding.at_step(step), &wait).contrast(
        "the first run of the step does what later ones do",
        format!(
            "the first run makes {launches} launches and {waits} waits that the second does not, first {}",
            wait.function
        ),
    ))
}

/// Of the host's work between replays: answers that should not be overlooked.
pub fn host_work(calls: &Calls, step: u64) -> Vec<Finding> {
    let refused = calls.first_with(910).map(|update| {
        let seen = format!("{} returned CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE, and the step went on", update.function);
        place(Finding::new(Id::V06, CHECK), &update)
            .at_step(step)
            .contrast("the executable graph takes the update", seen)
    });
    refused.into_iter().collect()
}

/// Adds, to the finding for an error in the step's own words, the driver's answer behind it: the call
/// of the same stretch that failed last.
pub fn explain_error(finding: Finding, failed: &Told) -> Finding {
    let answer = CudaError { why: failed.note.clone(), ..CudaError::from_code(failed.function, failed.code) };
    let finding = match faults::no_model(&answer, CHECK) {
        Some(missing) => {
            Finding { step: finding.step, notes: vec![format!("the step says: {}", finding.seen)], ..missing }
        }
        None => finding.note(format!("the last call that failed: {answer}")),
    };
    place(finding, failed)
}

/// An error that a framework told without the driver's function, with the function and the line of the first
/// call that failed so.
pub fn named(error: &StepError, calls: &Calls) -> Option<StepError> {
    let StepError::Cuda { error, .. } = error else { return None };
    let first = calls.first_failure().filter(|first| first.own_thread && first.code == error.code)?;
    let at = first.stack.first().filter(|_| error.function == framework::UNNAMED)?;
    let error = CudaError { function: first.function, ..error.clone() };
    Some(StepError::Cuda { error, place: Place { file: at.file.as_str().into(), line: at.line } })
}

/// Makes the finding of a capture that failed exact: `own` is the captured stream.
pub fn explain_capture(finding: Finding, calls: &Calls, own: CUstream) -> Finding {
    if finding.id == Id::C04
        && let Some(destroyed) = calls.destroyed_fork()
    {
        let seen = finding.seen.clone();
        return place(rename(finding, Id::C10), &destroyed).note(format!("the capture ended with: {seen}"));
    }
    let Some(first) = calls.first_failure() else { return finding };
    let waits = ["cuStreamSynchronize", "cuStreamQuery"].iter().any(|name| first.function.starts_with(name));
    // A capture ended by another thread says so itself.
    if !first.own_thread && !first.function.starts_with("cuStreamEndCapture") {
        let later = finding.site.clone();
        let finding = place(rename(finding, Id::S07), &first);
        return match later {
            Some(later) => finding.note(format!("the step noticed at {later}")),
            None => finding,
        };
    }
    if waits && first.stream.is_some_and(|stream| stream != stream_number(own)) && finding.id == Id::S01 {
        return rename(finding, Id::S06);
    }
    if finding.id == Id::C12 {
        let finding = finding.note(format!("the first call that failed is {} ({})", first.function, first.code));
        return place(finding, &first);
    }
    finding
}

/// The finding of a held stream, by the call that waited longest.
pub fn explain_stall(finding: Finding, calls: &Calls) -> Finding {
    let Some(call) = calls.longest_wait() else { return finding };
    let is = |names: &[&str]| names.iter().any(|name| call.function.starts_with(name));
    let id = if is(&["cuMemcpy"]) {
        Id::S09
    } else if is(&["cuMemFree"]) {
        Id::S10
    } else {
        return place(finding.note(format!("the host waited in {}", call.function)), &call);
    };
    let finding = rename(finding, id);
    let seen = format!("{} waited {} ms for the stream", call.function, call.blocked_ns / 1_000_000);
    let expected = finding.expected.clone();
    place(finding.contrast(expected, seen), &call)
}

/// The same facts under another id.
fn rename(finding: Finding, id: Id) -> Finding {
    let entry = Finding::new(id, CHECK);
    Finding { id: entry.id, title: entry.title, help: entry.help, ..finding }
}

/// Sets the place to the call's, and tells who called.
fn place(finding: Finding, call: &Told) -> Finding {
    at_stack(finding, &call.stack)
}

/// Sets the place to the innermost frame of a stack, and tells the next ones.
pub(crate) fn at_stack(finding: Finding, stack: &[Site]) -> Finding {
    let mut stack = stack.iter();
    let Some(site) = stack.next() else { return finding };
    let finding = finding.at(Some(site.clone()));
    stack.take(3).fold(finding, |finding, caller| finding.note(format!("called from {caller}")))
}
