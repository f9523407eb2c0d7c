//! The one door: every call from C passes through [`enter`].

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;

use super::types::CUstream;
use super::{CUresult, Cuda};
use crate::record;
use crate::software::capture::is_unsafe;
use crate::software::driver;

thread_local! {
    static IN_HOST_FUNCTION: Cell<bool> = const { Cell::new(false) };
}

/// What the door knows of an entry point.
pub(crate) struct Door {
    name: &'static str,
    /// Whether it is potentially unsafe during a capture; looked up at its first call.
    unsafe_in_capture: OnceLock<bool>,
}

impl Door {
    pub(crate) const fn new(name: &'static str) -> Self {
        Self { name, unsafe_in_capture: OnceLock::new() }
    }
}

/// Runs an entry point's body, recorded. Nothing unwinds out of it: a defect of ours is
/// `CUDA_ERROR_UNKNOWN`.
pub(crate) fn enter(door: &'static Door, stream: Option<CUstream>, body: impl FnOnce() -> Cuda) -> CUresult {
    let mut body = Some(body);
    pass(door, stream, &mut || body.take().map_or(Err(CUresult::UNKNOWN), |body| body()))
}

/// As [`enter`], compiled once for all entry points.
fn pass(door: &'static Door, stream: Option<CUstream>, body: &mut dyn FnMut() -> Cuda) -> CUresult {
    let checked = || check(door).and_then(|()| body()).and_then(|()| super::graph_recapture::after_call(stream));
    let guarded = || catch_unwind(AssertUnwindSafe(checked)).unwrap_or(Err(CUresult::UNKNOWN));
    let result = record::call(door.name, stream, guarded);
    if result == CUresult::NOT_SUPPORTED {
        record::note_unsupported(door.name);
    }
    result
}

/// Answers a call that has no model.
pub(crate) fn unsupported(door: &'static Door) -> CUresult {
    enter(door, None, || Err(CUresult::NOT_SUPPORTED))
}

/// Runs a caller's host function: calls to the driver from within it are refused, as CUDA
/// documents.
pub(crate) fn host_function<R>(call: impl FnOnce() -> R) -> R {
    IN_HOST_FUNCTION.with(|inside| inside.set(true));
    let result = call();
    IN_HOST_FUNCTION.with(|inside| inside.set(false));
    result
}

fn check(door: &Door) -> Cuda {
    let inside = IN_HOST_FUNCTION.try_with(Cell::get).unwrap_or(false);
    let ready = driver().check_initialised();
    if inside || ready.is_err() {
        return match (stateless(door.name), inside) {
            (true, _) => Ok(()),
            (false, true) => Err(CUresult::NOT_PERMITTED),
            (false, false) => ready,
        };
    }
    if *door.unsafe_in_capture.get_or_init(|| is_unsafe(door.name)) {
        driver().unsafe_call()?;
    }
    Ok(())
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
