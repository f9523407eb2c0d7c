//! Errors on their way to Python and back.

use graphproof::harness::cuda::CudaError;
use graphproof::harness::error::{RunError, StepError};
use graphproof::harness::finding::Place;
use graphproof::harness::framework::UNNAMED;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

use crate::driver;

pyo3::create_exception!(
    graphproof,
    Refused,
    PyRuntimeError,
    "The step could not be judged: what was wrong, where, and what to do. Nothing is said about the step then."
);

/// A run that could not take place.
pub fn refused(error: &RunError) -> PyErr {
    Refused::new_err(error.to_string().replace("pass --driver software", "set GRAPHPROOF_DRIVER=software"))
}

/// A driver call that failed.
pub fn cuda(error: &CudaError) -> PyErr {
    Refused::new_err(error.to_string())
}

/// An exception that a step raised, as its error: what it says, and the line of the step.
pub fn of_step(py: Python<'_>, error: &PyErr) -> StepError {
    let explained = py.import("graphproof._places").and_then(|places| places.getattr("explain")).and_then(|explain| {
        explain.call1((error.value(py),))?.extract::<(String, Option<String>, u32, String, Option<u32>, String)>()
    });
    let (text, file, line, source, code, function) =
        explained.unwrap_or_else(|_| (error.to_string(), None, 0, String::new(), None, String::new()));
    match (file, code) {
        (Some(file), Some(code)) => {
            let place = Place { file: file.as_str().into(), line };
            let named = graphproof_api::find(&function).map(|row| row.name);
            // The software driver's record knows it better than words do.
            let recorded = driver::is_software();
            let function = named.unwrap_or_else(|| if recorded { UNNAMED } else { called(&source, &text) });
            StepError::Cuda { error: CudaError::told(function, code, text), place }
        }
        (Some(file), None) => StepError::At {
            error: Box::new(StepError::Other(text)),
            what: source,
            place: Place { file: file.as_str().into(), line },
        },
        (None, _) => StepError::Other(text),
    }
}

/// The driver's function behind a line of Python, as far as its words tell.
fn called(source: &str, text: &str) -> &'static str {
    let words: [(&[&str], &str); 4] = [
        (
            &[".item(", ".tolist(", ".cpu(", ".numpy(", "copy_to_host", ".get(", "float(", "int(", "bool("],
            "cuStreamSynchronize",
        ),
        (&[".query("], "cuStreamQuery"),
        (&["event.synchronize", "elapsed_time"], "cuEventSynchronize"),
        (&["synchronize("], "cuCtxSynchronize"),
    ];
    let found = words.iter().find(|(words, _)| words.iter().any(|word| source.contains(word)));
    // Of what a capture refuses, an operator of PyTorch's does nothing but wait for its stream: it allocates from
    // the private pool. `AcceleratorError` is what it raises then.
    let of_torch = text.starts_with("AcceleratorError: ").then_some("cuStreamSynchronize");
    found.map(|(_, function)| *function).or(of_torch).unwrap_or(UNNAMED)
}
