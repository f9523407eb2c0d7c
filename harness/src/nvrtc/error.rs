//! Why a source could not be compiled.

use std::ffi::NulError;

/// Why there is no PTX.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// No library was found.
    #[error(
        "NVRTC was not found, so CUDA C++ cannot be compiled: `pip install nvidia-cuda-nvrtc-cu12` puts one into the \
         active virtual environment, CUDA_PATH names a toolkit's, and in a checkout of graphproof \
         `python3 kernels/regenerate.py` installs the pinned one. Tried: {}",
        tried.join("; ")
    )]
    NotFound {
        /// Each place, and why it did not do.
        tried: Vec<String>,
    },
    /// The library lacks a function.
    #[error("{path} has no {symbol}: {error}")]
    Symbol {
        /// The library.
        path: String,
        /// The function.
        symbol: &'static str,
        /// The loader's message.
        error: String,
    },
    /// The source does not compile.
    #[error("{file} does not compile with {compiler} ({code}):\n{log}")]
    Source {
        /// The source file.
        file: String,
        /// Library and version.
        compiler: String,
        /// NVRTC's name for the error.
        code: String,
        /// The compiler's log.
        log: String,
    },
    /// Any other call failed.
    #[error("{call} of {path} failed: {code}")]
    Call {
        /// The function.
        call: &'static str,
        /// The library.
        path: String,
        /// NVRTC's name for the error.
        code: String,
    },
    /// A source holds a NUL byte.
    #[error("a kernel source holds a NUL byte: {0}")]
    Nul(#[from] NulError),
}

impl CompileError {
    /// The same error about the file as its reader knows it.
    pub fn of_file(mut self, name: impl Into<String>) -> Self {
        if let CompileError::Source { file, .. } = &mut self {
            *file = name.into();
        }
        self
    }
}
