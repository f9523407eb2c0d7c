//! The Python stack behind a driver call.

use std::fmt::Write as _;

use graphproof_driver::record;
use pyo3::ffi;
use pyo3::prelude::*;

use crate::lines;

/// From now on calls of the software driver are told with the Python stack behind them.
pub fn tell() {
    record::tell_stacks(|| {
        // SAFETY: asks only whether there is an interpreter.
        if unsafe { ffi::Py_IsInitialized() } == 0 {
            return None;
        }
        // SAFETY: there is one. Not by PyO3's count: a framework may have let go of the lock, by Python's own
        // calls, within a call that PyO3 made.
        let held = unsafe { ffi::PyGILState_Ensure() };
        // SAFETY: the lock is held now.
        let told = stack(unsafe { Python::assume_attached() });
        // SAFETY: taken above, on this thread.
        unsafe { ffi::PyGILState_Release(held) };
        told
    });
}

/// Frames beyond are not told.
const DEEPEST: usize = 64;

/// The user's frames on this thread, innermost first, as a printed backtrace has them; none where no Python
/// runs on it. A thread that runs a library's code alone was started by the step: the line that the step is at
/// stands for it.
fn stack(py: Python<'_>) -> Option<String> {
    let mut frame = py.import("sys").ok()?.call_method0("_getframe").ok()?;
    let shown = py.import("graphproof._places").ok()?.getattr("shown").ok()?;
    let mut text = String::new();
    for index in 0..DEEPEST {
        let code = frame.getattr("f_code").ok()?;
        let file: Option<String> = shown.call1((code.getattr("co_filename").ok()?,)).ok()?.extract().ok()?;
        if let Some(file) = file {
            let name: String = code.getattr("co_name").ok()?.extract().ok()?;
            let line: Option<u32> = frame.getattr("f_lineno").ok()?.extract().ok()?;
            let _ = write!(text, "{index:4}: {name}()\n             at {file}:{}:1\n", line.unwrap_or(0));
        }
        frame = frame.getattr("f_back").ok()?;
        if frame.is_none() {
            break;
        }
    }
    if text.is_empty()
        && let Some((file, line)) = lines::current()
    {
        let _ = write!(text, "   0: the step\n             at {file}:{line}:1\n");
    }
    Some(text)
}

/// The frames of a text that [`tell`] made: file, line, function.
pub fn frames(text: &str) -> Vec<(String, u32, String)> {
    let mut lines = text.lines().map(str::trim);
    let mut frames = Vec::new();
    while let (Some(name), Some(place)) = (lines.next(), lines.next()) {
        let name = name.split_once(": ").map_or(name, |(_, name)| name).trim_end_matches("()");
        let mut parts = place.trim_start_matches("at ").rsplitn(3, ':');
        let (_column, line, file) = (parts.next(), parts.next(), parts.next());
        if let (Some(Ok(line)), Some(file)) = (line.map(str::parse), file) {
            frames.push((file.to_owned(), line, name.to_owned()));
        }
    }
    frames
}
