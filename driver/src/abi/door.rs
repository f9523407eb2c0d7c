//! The one door: every call from C passes through [`enter`].

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::types::CUstream;
use super::{CUresult, Cuda};
use crate::record;
use crate::software::driver;

thread_local! {
    static IN_HOST_FUNCTION: Cell<bool> = const { Cell::new(false) };
}

/// Runs an entry point's body, recorded. Nothing unwinds out of it: a defect of ours is
/// `CUDA_ERROR_UNKNOWN`.
pub(crate) fn enter(name: &'static str, stream: Option<CUstream>, body: impl FnOnce() -> Cuda) -> CUresult {
    let guarded =
        || catch_unwind(AssertUnwindSafe(|| check(name).and_then(|()| body()))).unwrap_or(Err(CUresult::UNKNOWN));
    let result = if record::is_on() { record::call(name, stream, guarded) } else { guarded().into() };
    if result == CUresult::NOT_SUPPORTED {
        record::note_unsupported(name);
    }
    result
}

/// Answers a call that has no model.
pub(crate) fn unsupported(name: &'static str) -> CUresult {
    enter(name, None, || {
        record::note(|| format!("{name} has no model in the software driver"));
        Err(CUresult::NOT_SUPPORTED)
    })
}

/// Runs a caller's host function: calls to the driver from within it are refused, as CUDA
/// documents.
pub(crate) fn host_function<R>(call: impl FnOnce() -> R) -> R {
    IN_HOST_FUNCTION.with(|inside| inside.set(true));
    let result = call();
    IN_HOST_FUNCTION.with(|inside| inside.set(false));
    result
}

fn check(name: &str) -> Cuda {
    let inside = IN_HOST_FUNCTION.try_with(Cell::get).unwrap_or(false);
    let ready = driver().check_initialised();
    match (inside, ready) {
        (false, Ok(())) => Ok(()),
        _ if stateless(name) => Ok(()),
        (true, _) => Err(CUresult::NOT_PERMITTED),
        (false, error) => error,
    }
}

/// Calls that need no `cuInit` and that a host function may make.
fn stateless(name: &str) -> bool {
    matches!(
        name,
        "cuInit"
            | "cuGetErrorName"
            | "cuGetErrorString"
            | "cuDriverGetVersion"
            | "cuGetProcAddress"
            | "cuGetProcAddress_v2"
            | "cuGetExportTable"
    )
}
