//! Execution faults: kernels that fault, calls that fail, runs that hang.

use crate::context::Enqueued;
use crate::cuda::{CudaError, NOT_SUPPORTED};
use crate::driver::{self, DriverKind};
use crate::error::StepError;
use crate::finding::{Check, Finding, Id, Site};
use crate::watchdog::Position;

const CHECK: Check = Check::Execution;

/// The finding for an error that the step returned while it ran eagerly.
pub fn eager_step(error: &StepError, enqueued: &[Enqueued], step: u64) -> Finding {
    returned(Id::E02, "the step runs", error, enqueued, step)
}

/// The finding for an error that the host's work before a step returned: no run of the step is to
/// blame.
pub fn host_work(error: &StepError, step: u64) -> Finding {
    returned(Id::E08, "the host's work before the step succeeds", error, &[], step)
}

fn returned(id: Id, expected: &str, error: &StepError, enqueued: &[Enqueued], step: u64) -> Finding {
    let finding = match error {
        StepError::Cuda { error, .. } => run_failed(id, error, enqueued, step),
        other => Finding::new(id, CHECK).at_step(step).contrast(expected, other.to_string()),
    };
    match error.site() {
        Some(site) => finding.at(Some(site)),
        None => finding,
    }
}

/// The finding for a call that the driver in use has no model of, in the words of `check`, if
/// `error` says that it is one. On a GPU the same answer is the device's, and no fault of the driver.
pub fn no_model(error: &CudaError, check: Check) -> Option<Finding> {
    let software = driver::in_use() == Some(DriverKind::Software);
    (software && error.code == NOT_SUPPORTED)
        .then(|| Finding::new(Id::E07, check).contrast("the driver can do what the step asks for", error.to_string()))
}

/// The finding for a driver error of a run: a kernel fault if the error is sticky, else `id`.
pub fn run_failed(id: Id, error: &CudaError, enqueued: &[Enqueued], step: u64) -> Finding {
    if let Some(finding) = no_model(error, CHECK) {
        return finding.at_step(step);
    }
    if !error.is_sticky() {
        return Finding::new(id, CHECK).at_step(step).contrast("CUDA_SUCCESS", error.to_string());
    }
    let finding = Finding::new(Id::E01, CHECK).at_step(step).contrast("the kernel completes", error.to_string());
    match driver::last_fault() {
        Some(fault) => {
            // The driver names the kernel; the step's line is where it was launched.
            let site = enqueued.iter().find(|work| work.kernel.as_deref() == Some(fault.kernel.as_str()));
            fault.lines.iter().fold(finding.at(site.map(|work| work.site.clone())), |finding, line| finding.note(line))
        }
        None => {
            let launches: Vec<_> = enqueued.iter().filter(|work| work.kernel.is_some()).collect();
            let finding = match launches.as_slice() {
                [only] => finding.at(Some(only.site.clone())),
                _ => finding,
            };
            finding.note("this driver does not say which kernel; every later call of the process fails too")
        }
    }
}

/// The finding for a failure on the step's own dummy inputs.
pub fn dummy_inputs(finding: Finding) -> Finding {
    let entry = Finding::new(Id::V11, Check::DummyInputs);
    let was = format!("the failure itself is {}: {}", finding.id, finding.title);
    Finding { id: entry.id, title: entry.title, help: entry.help, check: entry.check, ..finding }.note(was)
}

/// The finding for a run that gave no sign of life. `progress`: blocks of kernels that ended meanwhile,
/// where the driver counts them.
pub fn hang(position: &Position, seconds: u64, progress: Option<u64>) -> Finding {
    let seen = format!("no progress for {seconds} s in phase '{}' of step {}", position.phase, position.step);
    // Nothing that capture allows waits for the device: the host waits for a kernel that is only
    // recorded.
    let id = if position.phase.ends_with("capture") { Id::S12 } else { Id::E04 };
    let finding = Finding::new(id, CHECK).at_step(position.step).at(position.site.clone());
    let finding = finding.contrast("the run goes on", seen);
    let finding = match &position.site {
        Some(site) => finding.note(format!("the step's last call: {site}")),
        None => finding.note("the step had made no call of this run through its context"),
    };
    match (id, progress) {
        (Id::E04, Some(blocks)) if blocks > 0 => finding.note(format!(
            "kernels go on: {blocks} blocks ended meanwhile; if this is no endless loop of launches, the step is slow \
             here: raise --patience, or choose a smaller --shape"
        )),
        (Id::E04, Some(_)) => finding.note(
            "no block of a kernel ended meanwhile: a kernel that never ends, or a host that waits for what never comes",
        ),
        (Id::E04, None) => {
            finding.note("this driver does not say whether kernels go on: a slow step needs more --patience")
        }
        _ => finding,
    }
}

/// The finding for a panic in the step's code, with the place of the panic where it is known.
pub fn panicked(message: &str, at: Option<Site>, position: &Position) -> Finding {
    let finding = Finding::new(Id::E06, CHECK).at_step(position.step).contrast("the step returns", message);
    match (at, &position.site) {
        (Some(at), Some(last)) => finding.at(Some(at)).note(format!("the step's last call before: {last}")),
        (Some(at), None) => finding.at(Some(at)),
        (None, last) => finding.at(last.clone()),
    }
}
