//! A thin layer over cudarc's `result` and `sys`: handles that free themselves, errors with names.

/// A failed driver call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{function} returned {name}")]
pub struct CudaError {
    /// Driver entry point, such as `cuStreamSynchronize`.
    pub function: &'static str,
    /// `CUresult` as a number.
    pub code: u32,
    /// Its name, such as `CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED`.
    pub name: String,
}
