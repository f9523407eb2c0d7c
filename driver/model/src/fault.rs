//! Errors of executed work: the report that is kept, and the code that sticks to the context.

use std::fmt;
use std::sync::{MutexGuard, PoisonError};

use super::driver;

use super::graph::unknowns;
use super::memory::memory;
use crate::record;
use graphproof_api::{CUresult, Cuda};
use graphproof_exec::{Fault, FaultKind};

/// An error of executed work, in full.
#[derive(Debug, Clone)]
pub struct FaultReport {
    /// What every later call in the context answers.
    pub code: CUresult,
    /// The kernel's fault; `None` for an error of a copy, a fill or a memory operation.
    pub fault: Option<Fault>,
    /// What the address lies in or misses, and whatever else explains it.
    pub explanation: String,
}

impl FaultReport {
    /// Of a kernel.
    pub fn of_kernel(fault: Fault) -> Box<Self> {
        let (code, explanation) = match &fault.kind {
            FaultKind::IllegalAddress { space, address, size, write } => {
                let verb = if *write { "write" } else { "read" };
                let place =
                    if *space == "global" { format!(": {}", memory().space.describe(*address)) } else { String::new() };
                let text = format!("{verb} of {size} bytes at {space} address {address:#x}{place}");
                (CUresult::ILLEGAL_ADDRESS, text)
            }
            FaultKind::MisalignedAddress { space, address, align, write } => {
                let verb = if *write { "write" } else { "read" };
                let text = format!("{verb} at {space} address {address:#x}, which is not a multiple of {align}");
                (CUresult::MISALIGNED_ADDRESS, text)
            }
            // The one call that stops a kernel is that of `__assertfail`.
            FaultKind::Trap if fault.ptx_text.starts_with("call") => {
                (CUresult::ASSERT, "a device-side assertion failed".to_owned())
            }
            FaultKind::Trap => (CUresult::LAUNCH_FAILED, "the kernel executed trap".to_owned()),
            FaultKind::Barrier(reason) => (CUresult::LAUNCH_FAILED, format!("a barrier can never complete: {reason}")),
            FaultKind::Call { .. } | FaultKind::Misuse(_) => (CUresult::LAUNCH_FAILED, fault.kind.to_string()),
            FaultKind::Conditional { .. } => (unknowns::FOREIGN_CONDITIONAL, fault.kind.to_string()),
            FaultKind::Cancelled => (CUresult::LAUNCH_TIMEOUT, "the launch was cancelled".to_owned()),
        };
        Box::new(Self { code, fault: Some(fault), explanation })
    }

    /// Of other work.
    pub fn of_work(code: CUresult, explanation: String) -> Box<Self> {
        Box::new(Self { code, fault: None, explanation })
    }
}

impl fmt::Display for FaultReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.explanation)?;
        if let Some(fault) = &self.fault {
            let ([bx, by, bz], [tx, ty, tz]) = (fault.block, fault.thread);
            write!(f, "; kernel {} block ({bx}, {by}, {bz}) thread ({tx}, {ty}, {tz})", fault.kernel)?;
            if fault.ptx_line > 0 {
                write!(f, "; PTX line {}: {}", fault.ptx_line, fault.ptx_text)?;
            }
        }
        Ok(())
    }
}

fn last() -> MutexGuard<'static, Option<FaultReport>> {
    driver().fault.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The last error of work that the driver executed.
pub fn last_fault() -> Option<FaultReport> {
    last().clone()
}

/// Adds the report of the last fault to the record of a call that answers with its code.
pub fn explain(result: Cuda) -> Cuda {
    if let Err(code) = result {
        record::note(|| match last_fault() {
            Some(report) if report.code == code => report.to_string(),
            _ => code.description().unwrap_or("unknown error").to_owned(),
        });
    }
    result
}

/// Forgets the last error.
pub fn clear_fault() {
    *last() = None;
}

pub(super) fn keep(report: FaultReport) {
    *last() = Some(report);
}
