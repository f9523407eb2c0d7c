//! What keeps a step from being made.

use crate::compile::CompileError;
use crate::shape::ShapeError;

/// A step could not be made.
#[derive(Debug, thiserror::Error)]
pub enum KernelsError {
    /// No lane has this name.
    #[error("no step is called '{name}'; the steps are {}", known.join(", "))]
    UnknownStep {
        /// The name asked for.
        name: String,
        /// The names there are.
        known: Vec<&'static str>,
    },
    /// The shape cannot be run.
    #[error(transparent)]
    Shape(#[from] ShapeError),
    /// A kernel source differs from the one that the committed PTX was made from.
    #[error(
        "kernels/cu/{file} has changed since kernels/ptx/{module}.ptx was made from it: run \
         `python3 kernels/regenerate.py` and build again, or pass --compile to compile it now"
    )]
    Stale {
        /// The edited file.
        file: String,
        /// Stem of the PTX file that is out of date.
        module: String,
    },
    /// The committed PTX is not the one that the manifest describes.
    #[error(
        "kernels/ptx/{module}.ptx is not the file that kernels/ptx/manifest.json describes: run \
         `python3 kernels/regenerate.py` and build again"
    )]
    Tampered {
        /// Stem of the PTX file.
        module: String,
    },
    /// The manifest does not describe a file, or cannot be read.
    #[error("kernels/ptx/manifest.json {problem}: run `python3 kernels/regenerate.py` and build again")]
    Manifest {
        /// What is wrong with it.
        problem: String,
    },
    /// A revision lacks a file, or has one that cannot be read.
    #[error("the revision {revision} {problem}")]
    Revision {
        /// The revision.
        revision: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A revision without PTX to use, where nothing can compile its sources.
    #[error("the kernels of revision {revision} cannot be used: {problem}, and {error}")]
    RevisionPtx {
        /// The revision.
        revision: String,
        /// Why its committed PTX does not do.
        problem: String,
        /// Why its sources cannot be compiled.
        error: Box<CompileError>,
    },
    /// A kernel source cannot be read.
    #[error("cannot read the kernel source {path}: {error}")]
    Source {
        /// The file.
        path: String,
        /// Why.
        error: std::io::Error,
    },
    /// The run-time compiler is missing or failed.
    #[error(transparent)]
    Compile(#[from] CompileError),
}
