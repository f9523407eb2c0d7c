//! What nearly every planted fault uses.

pub(super) use std::sync::atomic::{AtomicU64, Ordering};
pub(super) use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

pub(super) use cudarc::driver::sys::CUresult;
pub(super) use graphproof_harness::context::{Launch, Phase};
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

/// Locks what a step keeps between its calls.
pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes one of the objects that `prepare` laid out for the recordings of this step.
pub(super) fn take<T>(pile: &Mutex<Vec<T>>) -> StepResult<T> {
    locked(pile).pop().ok_or_else(|| StepError::Other("nothing is left of what the host prepared".to_owned()))
}
