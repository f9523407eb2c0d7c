//! What nearly every planted fault uses.

pub(super) use std::sync::atomic::{AtomicU64, Ordering};
pub(super) use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

pub(super) use cudarc::driver::sys::CUresult;
pub(super) use graphproof_harness::capture_as::StreamKind;
pub(super) use graphproof_harness::context::{Launch, Phase, StepContext};
pub(super) use graphproof_harness::error::{StepError, StepResult};
pub(super) use graphproof_harness::finding::{Check, Id};
pub(super) use graphproof_harness::step::{Agreement, BufferSpec, DType, Step, Valid};

pub(super) use super::fault::{Expected, Fault, Group, Variant};
pub(super) use super::plant::{N, Plant, scale, varied};
pub(super) use super::raw;
pub(super) use crate::error::KernelsError;
pub(super) use crate::steps::Lane;

/// What every fault's function gives back.
pub(super) type Planted = Result<Box<dyn Step>, KernelsError>;

/// Makes a driver object at its first use and keeps it.
pub(super) fn once<T>(cell: &OnceLock<T>, make: impl FnOnce() -> StepResult<T>) -> StepResult<&T> {
    if let Some(made) = cell.get() {
        return Ok(made);
    }
    let made = make()?;
    Ok(cell.get_or_init(|| made))
}

/// Device memory of the step's own, which it keeps.
pub(super) fn allocated(bytes: usize) -> StepResult<u64> {
    let (result, address) = raw::mem_alloc(bytes);
    raw::must("cuMemAlloc", result).map(|()| address)
}

/// A side stream that is forked from the step's and joined to it again.
pub(super) struct Fork {
    side: raw::Stream,
    fork: raw::Event,
    join: raw::Event,
}

impl Fork {
    /// Makes the stream and its events.
    pub(super) fn new() -> StepResult<Self> {
        Ok(Fork { side: raw::Stream::non_blocking()?, fork: raw::Event::new()?, join: raw::Event::new()? })
    }

    /// The side stream.
    pub(super) fn stream(&self) -> cudarc::driver::sys::CUstream {
        self.side.0
    }

    /// What is enqueued on the side stream from here on waits for the step's work so far.
    pub(super) fn begin(&self, cx: &mut StepContext<'_>) -> StepResult<()> {
        cx.check("cuEventRecord", self.fork.record(cx.stream()))?;
        cx.check("cuStreamWaitEvent", self.fork.wait(self.side.0))
    }

    /// What the step enqueues from here on waits for the side stream's work so far.
    pub(super) fn end(&self, cx: &mut StepContext<'_>) -> StepResult<()> {
        cx.check("cuEventRecord", self.join.record(self.side.0))?;
        cx.check("cuStreamWaitEvent", self.join.wait(cx.stream()))
    }
}

/// A kernel that adds 1 to a counter, in each thread.
pub(super) const ADD_ATOMIC: &str = ".version 7.0\n.target sm_70\n.address_size 64\n\
    .visible .entry add_atomic(.param .u64 counter)\n{\n\
    .reg .b64 %rd<2>;\nld.param.u64 %rd1, [counter];\ncvta.to.global.u64 %rd1, %rd1;\n\
    red.global.add.u32 [%rd1], 1;\nret;\n}\n";

/// Locks what a step keeps between its calls.
pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes one of the objects that `prepare` laid out for the recordings of this step.
pub(super) fn take<T>(pile: &Mutex<Vec<T>>) -> StepResult<T> {
    locked(pile).pop().ok_or_else(|| StepError::Other("nothing is left of what the host prepared".to_owned()))
}
