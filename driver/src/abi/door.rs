//! The one door: every call from C passes through [`enter`].

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;

use graphproof_api::Function;

use super::types::CUstream;
use super::{CUresult, Cuda, default_stream};
use crate::software::{driver, version};
use crate::{observe, record};

thread_local! {
    static IN_HOST_FUNCTION: Cell<bool> = const { Cell::new(false) };
}

/// What the door knows of an entry point.
pub(crate) struct Door {
    name: &'static str,
    /// Its row of the table, looked up at its first call.
    row: OnceLock<Option<&'static Function>>,
}

impl Door {
    pub(crate) const fn new(name: &'static str) -> Self {
        Self { name, row: OnceLock::new() }
    }

    fn row(&self) -> Option<&'static Function> {
        *self.row.get_or_init(|| graphproof_api::find(self.name))
    }
}

/// Runs an entry point's body, recorded. Nothing unwinds out of it: a defect of ours is
/// `CUDA_ERROR_UNKNOWN`.
pub(crate) fn enter(
    door: &'static Door,
    stream: Option<CUstream>,
    arguments: &[u64],
    body: impl FnOnce() -> Cuda,
) -> CUresult {
    let mut body = Some(body);
    let body: &mut dyn FnMut() -> Cuda = &mut || body.take().map_or(Err(CUresult::UNKNOWN), |body| body());
    let mut pass = || default_stream::within(|| pass(door, stream, arguments, body));
    if record::is_on() || observe::is_on() { record::asked(pass) } else { pass() }
}

/// As [`enter`], compiled once for all entry points.
fn pass(door: &'static Door, stream: Option<CUstream>, arguments: &[u64], body: &mut dyn FnMut() -> Cuda) -> CUresult {
    let checked = || {
        let done = check(door).and_then(|()| body()).and_then(|()| super::graph_recapture::after_call(stream));
        done.inspect_err(|&code| super::stale::explain(door.row(), arguments, code))
    };
    let guarded = || catch_unwind(AssertUnwindSafe(checked)).unwrap_or(Err(CUresult::UNKNOWN));
    let result = if record::is_on() {
        let has_argument = door.row().is_some_and(|row| row.stream_argument().is_some());
        let stream = stream.map(|stream| default_stream::named(stream, has_argument).0);
        record::call(door.name, stream, arguments, guarded)
    } else {
        record::unrecorded(door.name, guarded)
    };
    if result == CUresult::NOT_SUPPORTED {
        record::note_unsupported(door.name);
    }
    result
}

/// Answers a call that has no model.
pub(crate) fn unsupported(door: &'static Door) -> CUresult {
    enter(door, None, &[], || Err(CUresult::NOT_SUPPORTED))
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
    if let (Some(version), Some(row)) = (version::restricted(), door.row())
        && row.since > version.number
    {
        let (name, since) = (row.name, row.since);
        record::note(|| {
            let came = format!("{}.{}", since / 1000, since % 1000 / 10);
            format!("{name} came with CUDA {came}, and the driver answers as {version}")
        });
        return Err(CUresult::CALL_REQUIRES_NEWER_DRIVER);
    }
    if door.row().is_some_and(|row| row.class.is_unsafe()) && !tells_through_arguments(door.name) {
        driver().unsafe_call()?;
    }
    Ok(())
}

/// Potentially unsafe calls that look at their arguments first, or tell of the refusal in one: they ask
/// for themselves.
fn tells_through_arguments(name: &str) -> bool {
    matches!(name, "cuGraphInstantiateWithParams" | "cuGraphInstantiateWithFlags")
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
