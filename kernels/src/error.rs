//! What keeps a step from being made.

use graphproof_harness::nvrtc::CompileError;

use crate::shape::ShapeError;
use crate::tree::Origin;

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
         `python3 kernels/regenerate.py`, or pass --compile to compile it now"
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
         `python3 kernels/regenerate.py`"
    )]
    Tampered {
        /// Stem of the PTX file.
        module: String,
    },
    /// The manifest does not describe a file, or cannot be read.
    #[error("kernels/ptx/manifest.json {problem}: run `python3 kernels/regenerate.py`")]
    Manifest {
        /// What is wrong with it.
        problem: String,
    },
    /// A tree lacks a source, or has one that cannot be read.
    #[error("{tree} has no {file} that can be used ({problem}), and {module}.ptx is made from it")]
    Source {
        /// The tree.
        tree: Origin,
        /// The file, below the tree.
        file: String,
        /// Why it cannot be used.
        problem: String,
        /// Stem of the PTX file.
        module: String,
    },
    /// The steps' host code in the checkout is not the program's own.
    #[error(
        "{tree} has other host code for the steps (kernels/src) than this program was built from: build graphproof \
         there again, and run that"
    )]
    HostCode {
        /// The checkout.
        tree: Origin,
    },
    /// A tree without PTX to use, where nothing can compile its sources.
    #[error("the kernels of {tree} cannot be used: {problem}, and {error}")]
    Ptx {
        /// The tree.
        tree: Origin,
        /// Why its committed PTX does not do.
        problem: String,
        /// Why its sources cannot be compiled.
        error: Box<CompileError>,
    },
    /// The run-time compiler is missing or failed.
    #[error(transparent)]
    Compile(#[from] CompileError),
}
