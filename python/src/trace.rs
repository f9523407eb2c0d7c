//! The record of a region of the program: of the software driver's own, or of the file that
//! `graphproof trace` has the process keep.

use std::path::{Path, PathBuf};

use graphproof_door::{Capture, EventKind, Process, Trace};
use graphproof_driver::record::{self, Options, Stack};
use pyo3::prelude::*;

use crate::driver::is_software;
use crate::error::Refused;
use crate::stacks;

/// Calls that are kept of a region.
const CAPACITY: usize = 1 << 20;

/// (function, stream, capturing, result, thread, start and duration in nanoseconds, frames: file, line, function).
type Told = (String, Option<u64>, bool, Option<u32>, u64, u64, u64, Vec<(String, u32, String)>);

/// The folder into which `graphproof trace` has its processes write.
fn folder() -> Option<PathBuf> {
    std::env::var_os("GRAPHPROOF_TRACE").map(PathBuf::from).filter(|_| !is_software())
}

/// Nanoseconds of the monotonic clock, by which a record tells its times.
fn now() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a local.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) };
    u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0)
}

/// Begins a region; gives its start.
#[pyfunction]
pub fn begin_trace() -> PyResult<u64> {
    if folder().is_none() {
        if !is_software() {
            return Err(Refused::new_err(
                "calls of NVIDIA's driver are recorded where the program is started by \
                 `graphproof trace -- python PROGRAM`",
            ));
        }
        if record::is_on() {
            return Err(Refused::new_err("a recording is in progress: regions do not nest, nor hold or lie in a gate"));
        }
        record::start(Options { capacity: CAPACITY, keep_newest: false, backtraces: |_| true });
    }
    Ok(now())
}

/// Ends the region that began at `since`: its calls, and how many found no room.
#[pyfunction]
pub fn end_trace(py: Python<'_>, since: u64) -> PyResult<(Vec<Told>, u64)> {
    match folder() {
        Some(folder) => py.detach(|| forwarded(&folder, since)),
        None => Ok(own()),
    }
}

fn own() -> (Vec<Told>, u64) {
    let recording = record::stop();
    let told = |call: record::Call| {
        let frames = match call.backtrace.as_deref() {
            Some(Stack::Told(text)) => stacks::frames(text),
            // Python has not called: a thread of a library's.
            Some(Stack::Native(_)) | None => Vec::new(),
        };
        let capturing = call.capture_before == record::Capture::Active;
        let stream = call.stream;
        let times = (call.start_ns, call.duration_ns);
        let function = call.function.to_owned();
        (function, stream, capturing, Some(call.result.0), call.thread.0, times.0, times.1, frames)
    };
    (recording.calls.into_iter().map(told).collect(), recording.dropped)
}

fn forwarded(folder: &Path, since: u64) -> PyResult<(Vec<Told>, u64)> {
    let trace = Trace::open(folder).map_err(|error| Refused::new_err(error.to_string()))?;
    let pid = std::process::id();
    let mut own: Vec<&Process> = trace.processes.iter().filter(|process| process.pid == pid).collect();
    let process =
        own.pop().ok_or_else(|| Refused::new_err(format!("{} has no record of this process", folder.display())))?;
    let told = |event: graphproof_door::Event| {
        let EventKind::Call(call) = event.kind else { return None };
        // What a library called within another call is that call's.
        if call.began < since || call.nested {
            return None;
        }
        let stack = call.stack.and_then(|id| process.stack(id));
        let python = stack.map(|stack| stack.python.as_slice()).unwrap_or_default();
        let frames = python.iter().map(|frame| (frame.file.clone(), frame.line, frame.function.clone())).collect();
        let capturing = matches!(call.capture, Some(Capture::Active));
        let thread = u64::from(event.thread);
        let (start, duration) = (call.began - since, call.ended.saturating_sub(call.began));
        Some((call.function.to_string(), call.stream(), capturing, call.result, thread, start, duration, frames))
    };
    Ok((process.events().filter_map(told).collect(), process.lost + process.overwritten))
}
