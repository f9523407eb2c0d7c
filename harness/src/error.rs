//! Errors: of a step's own code, and of a run that could not take place.

use std::panic::Location;

use crate::cuda::CudaError;
use crate::step::DType;

/// Result of a step's own code.
pub type StepResult<T> = Result<T, StepError>;

/// What a step's own code can get wrong.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StepError {
    /// A driver call failed.
    #[error("{error} at {}:{}", location.file(), location.line())]
    Cuda {
        /// The driver's answer.
        error: CudaError,
        /// The line of the step that made the call.
        location: &'static Location<'static>,
    },
    /// A name that the step did not declare.
    #[error("the step has no buffer '{name}' here; it declares {}", known.join(", "))]
    UnknownBuffer {
        /// The name asked for.
        name: String,
        /// The names there are.
        known: Vec<String>,
    },
    /// A kernel name that none of the step's modules holds.
    #[error("no module of the step holds a kernel '{name}'; they hold {}", known.join(", "))]
    UnknownKernel {
        /// The name asked for.
        name: String,
        /// The names there are.
        known: Vec<String>,
    },
    /// A typed view with a different element size than declared.
    #[error("buffer '{buffer}' is declared {}, of {} bytes an element, but was asked for with {asked} bytes", declared.name(), declared.size())]
    ElementType {
        /// The buffer.
        buffer: String,
        /// As declared.
        declared: DType,
        /// Bytes of the element type asked for.
        asked: usize,
    },
    /// Anything else that the step wants to say.
    #[error("{0}")]
    Other(String),
}
