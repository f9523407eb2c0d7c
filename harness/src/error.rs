//! Errors: of a step's own code, and of a run that could not take place.

use std::panic::Location;

use crate::cuda::CudaError;
use crate::exit_code::ExitCode;
use crate::finding::{Place, Site};
use crate::step::DType;

/// Result of a step's own code.
pub type StepResult<T> = Result<T, StepError>;

/// What a step's own code can get wrong.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StepError {
    /// A driver call failed.
    #[error("{error} at {place}")]
    Cuda {
        /// The driver's answer.
        error: CudaError,
        /// The line of the step that made the call.
        place: Place,
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
    /// Arguments that do not fit the kernel's parameters.
    #[error("kernel '{kernel}' takes parameters of {expected:?} bytes, but the launch gives {given:?}")]
    Arguments {
        /// The kernel.
        kernel: String,
        /// Sizes given.
        given: Vec<usize>,
        /// Sizes that the module declares.
        expected: Vec<usize>,
    },
    /// A typed view with a different element size than declared.
    #[error(
        "buffer '{buffer}' is declared {}, of {} bytes an element, but was asked for with {asked} bytes",
        declared.name(),
        declared.size()
    )]
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
    /// An error of another kind, with the line of the step that met it.
    #[error("{error}")]
    At {
        /// The error.
        error: Box<StepError>,
        /// What the step was doing: `launch of scale`.
        what: String,
        /// The line.
        place: Place,
    },
}

impl StepError {
    /// Anything that the step wants to say, with the caller's line.
    #[track_caller]
    pub fn other(text: impl Into<String>) -> Self {
        StepError::Other(text.into()).at("the step's own error", Location::caller())
    }

    /// The same error with the line that met it, unless it has one.
    pub(crate) fn at(self, what: impl Into<String>, place: impl Into<Place>) -> Self {
        match self {
            StepError::Cuda { .. } | StepError::At { .. } => self,
            error => StepError::At { error: Box::new(error), what: what.into(), place: place.into() },
        }
    }

    /// The line of the step that met the error, where it is known.
    pub fn site(&self) -> Option<Site> {
        match self {
            StepError::Cuda { error, place } => Some(Site::new(error.function, place)),
            StepError::At { what, place, .. } => Some(Site::new(what, place)),
            _ => None,
        }
    }

    /// The driver's answer behind the error; where it is not known, the error in the words of whoever called
    /// `function`.
    pub(crate) fn told_by(self, function: &'static str) -> CudaError {
        match self {
            StepError::Cuda { error, .. } => error,
            // CUDA_ERROR_UNKNOWN
            error => CudaError { why: Some(error.to_string()), ..CudaError::from_code(function, 999) },
        }
    }

    /// Whether the device is unusable afterwards; see [`CudaError::is_sticky`].
    pub fn is_sticky(&self) -> bool {
        matches!(self, StepError::Cuda { error, .. } if error.is_sticky())
    }
}

/// Why a run could not take place or could not go on. Nothing is said about the step then.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// No driver of the kind asked for.
    #[error("no NVIDIA driver here: {reason}\n  to run without a GPU, pass --driver software")]
    NoDriver {
        /// What was tried.
        reason: String,
    },
    /// A driver that lacks calls that the harness needs.
    #[error(
        "the driver supports CUDA {}.{}, but 12.4 is the oldest that can name the parameters of a graph's kernels\n  \
         update the NVIDIA driver, or pass --driver software", version / 1000, version % 1000 / 10
    )]
    DriverTooOld {
        /// As `cuDriverGetVersion` says.
        version: i32,
    },
    /// A driver without a device.
    #[error("the driver has no usable device: {0}\n  check `nvidia-smi`, or pass --driver software")]
    NoDevice(CudaError),
    /// The software driver could not be put in place.
    #[error("the software driver cannot be loaded: {0}")]
    SoftwareDriver(String),
    /// The step's declaration is impossible.
    #[error("{0}")]
    Declaration(String),
    /// A module that the driver does not take.
    #[error("module '{module}' does not load: {error}{}", if log.is_empty() { String::new() } else { format!("\n{log}") })]
    Module {
        /// The module's name.
        module: String,
        /// The driver's answer.
        error: CudaError,
        /// What its JIT compiler logged.
        log: String,
    },
    /// Not enough device memory.
    #[error(
        "step '{step}' needs {needed} bytes of device memory twice (eager and replay) and {images} for images to \
         compare, and {free} of {total} bytes are free{}\n  choose a smaller --shape", buffer.as_ref().map(|b| format!("; no room for buffer '{b}'")).unwrap_or_default()
    )]
    OutOfMemory {
        /// The step.
        step: String,
        /// Bytes of one set of its buffers.
        needed: u64,
        /// Bytes of the images that are kept to compare.
        images: u64,
        /// Free device memory.
        free: u64,
        /// All device memory.
        total: u64,
        /// The buffer at which it failed, if the driver was asked.
        buffer: Option<String>,
    },
    /// A driver call of the harness itself failed.
    #[error("{what}: {error}")]
    Driver {
        /// What the harness was doing.
        what: &'static str,
        /// The driver's answer.
        error: CudaError,
    },
    /// The step's own input code failed.
    #[error("step '{step}' cannot make its inputs: {error}")]
    Inputs {
        /// The step.
        step: String,
        /// What it says.
        error: Box<StepError>,
    },
}

impl RunError {
    /// The exit code that this error becomes.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            RunError::NoDriver { .. } | RunError::DriverTooOld { .. } | RunError::SoftwareDriver(_) => {
                ExitCode::NoDriver
            }
            RunError::NoDevice(_) => ExitCode::NoDevice,
            RunError::Declaration(_) | RunError::Inputs { .. } => ExitCode::Usage,
            RunError::Module { .. } => ExitCode::Kernels,
            RunError::OutOfMemory { .. } => ExitCode::OutOfMemory,
            RunError::Driver { .. } => ExitCode::Driver,
        }
    }
}
