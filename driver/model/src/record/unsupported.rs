//! Calls without a model: always counted, by name.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::driver;

/// How often a call without a model was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsupported {
    /// The exported name.
    pub function: &'static str,
    /// How often it was called.
    pub count: u64,
}

/// How often each call was made: one entry for each name of the driver API at most.
pub(crate) type Counts = Mutex<BTreeMap<&'static str, u64>>;

fn counts() -> MutexGuard<'static, BTreeMap<&'static str, u64>> {
    driver().unsupported.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Counts a call that had no model.
pub fn note_unsupported(name: &'static str) {
    *counts().entry(name).or_default() += 1;
}

/// All calls so far that answered `CUDA_ERROR_NOT_SUPPORTED`, by name.
pub fn unsupported_calls() -> Vec<Unsupported> {
    counts().iter().map(|(&function, &count)| Unsupported { function, count }).collect()
}

/// As [`unsupported_calls`], and starts counting again.
pub fn take_unsupported() -> Vec<Unsupported> {
    std::mem::take(&mut *counts()).into_iter().map(|(function, count)| Unsupported { function, count }).collect()
}
