//! From a step of Python's to a receipt.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use graphproof::judge::{self as gate, Form};
use graphproof::receipt;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::error::Refused;
use crate::subject::OneStep;

/// All that a run says.
#[pyclass(frozen)]
pub struct Receipt {
    receipt: receipt::Receipt,
    poisoned: bool,
}

#[pymethods]
impl Receipt {
    /// As JSON.
    fn json(&self) -> PyResult<String> {
        serde_json::to_string(&self.receipt).map_err(|error| PyValueError::new_err(error.to_string()))
    }

    /// As the terminal shows it.
    fn text(&self) -> String {
        gate::text(&self.receipt)
    }

    /// Whether the device is unusable for the rest of the process.
    #[getter]
    fn poisoned(&self) -> bool {
        self.poisoned
    }

    /// Writes it to a file as `json`, `html`, `junit`, `sarif` or `trace`.
    fn write(&self, py: Python<'_>, form: &str, path: PathBuf) -> PyResult<()> {
        let form = match form {
            "json" => Form::Json,
            "html" => Form::Html,
            "junit" => Form::Junit,
            "sarif" => Form::Sarif,
            "trace" => Form::Trace,
            _ => return Err(PyValueError::new_err(format!("'{form}' is none of json, html, junit, sarif, trace"))),
        };
        py.detach(|| gate::write(&self.receipt, form, &path)).map_err(|error| Refused::new_err(error.message))
    }
}

/// A receipt that was kept.
#[pyfunction]
pub fn read_receipt(path: PathBuf) -> PyResult<Receipt> {
    let receipt = receipt::read(&path).map_err(|error| Refused::new_err(error.to_string()))?;
    Ok(Receipt { receipt, poisoned: false })
}

/// Judges a step, with options of `graphproof gate`. `subject` is a `graphproof._subject.Subject`.
#[pyfunction]
pub fn judge(py: Python<'_>, subject: Py<PyAny>, options: Vec<String>) -> PyResult<Receipt> {
    let suite = Arc::new(OneStep::of(py, subject)?);
    let stop = Arc::new(AtomicBool::new(false));
    let (sender, receiver) = mpsc::channel();
    let stopped = Arc::clone(&stop);
    let thread = std::thread::Builder::new().name("graphproof".to_owned()).spawn(move || {
        // Nobody listens only where the process ends.
        let _ = sender.send(gate::judge(suite, &options, stopped));
    })?;
    let receiver = std::sync::Mutex::new(receiver);
    let mut interrupted = None;
    loop {
        let received = py
            .detach(|| receiver.lock().unwrap_or_else(PoisonError::into_inner).recv_timeout(Duration::from_millis(50)));
        match received {
            Ok(judged) => {
                // Its last message; joining only lets its locals go, which may need Python.
                let _ = py.detach(|| thread.join());
                if let Some(error) = interrupted {
                    return Err(error);
                }
                let judged = judged.map_err(|error| Refused::new_err(error.message))?;
                return Ok(Receipt { receipt: judged.receipt, poisoned: judged.poisoned });
            }
            Err(RecvTimeoutError::Timeout) => {
                if let Err(error) = py.check_signals() {
                    // The step ends first: the device must be usable afterwards.
                    stop.store(true, Ordering::Relaxed);
                    interrupted.get_or_insert(error);
                }
            }
            Err(RecvTimeoutError::Disconnected) => {
                return Err(Refused::new_err("the judge ended without an answer; that is a defect of graphproof's"));
            }
        }
    }
}
