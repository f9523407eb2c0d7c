//! Execution faults: kernels that fault, calls that fail, runs that hang.

use crate::context::Enqueued;
use crate::cuda::CudaError;
use crate::driver;
use crate::error::StepError;
use crate::finding::{Finding, Site};
use crate::watchdog::Position;

const CHECK: &str = "execution";

/// The finding for an error that the step returned while it ran eagerly.
pub fn eager_step(error: &StepError, enqueued: &[Enqueued], step: u64) -> Finding {
    match error {
        StepError::Cuda { error, location } => {
            run_failed("E02", error, enqueued, step).at(Some(Site::new(error.function, location)))
        }
        other => Finding::new("E02", CHECK).at_step(step).contrast("the step runs", other.to_string()),
    }
}

/// The finding for a driver error of a run: a kernel fault if the error is sticky, else `id`.
pub fn run_failed(id: &'static str, error: &CudaError, enqueued: &[Enqueued], step: u64) -> Finding {
    if !error.is_sticky() {
        return Finding::new(id, CHECK).at_step(step).contrast("CUDA_SUCCESS", error.to_string());
    }
    let finding = Finding::new("E01", CHECK).at_step(step).contrast("the kernel completes", error.to_string());
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
    let entry = Finding::new("V11", "dummy inputs");
    let was = format!("the failure itself is {}: {}", finding.id, finding.title);
    Finding { id: entry.id, title: entry.title, help: entry.help, check: entry.check, ..finding }.note(was)
}

/// The finding for a run that gave no sign of life.
pub fn hang(position: &Position, seconds: u64) -> Finding {
    let seen = format!("no progress for {seconds} s in phase '{}' of step {}", position.phase, position.step);
    // Nothing that capture allows waits for the device: the host waits for a kernel that is only
    // recorded.
    let id = if position.phase.ends_with("capture") { "S12" } else { "E04" };
    Finding::new(id, CHECK).at_step(position.step).at(position.site.clone()).contrast("the run goes on", seen)
}

/// The finding for a panic in the step's code.
pub fn panicked(message: &str, position: &Position) -> Finding {
    Finding::new("E06", CHECK).at_step(position.step).at(position.site.clone()).contrast("the step returns", message)
}
