//! The one door: every call from C passes through [`enter`].

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::types::CUstream;
use super::{CUresult, Cuda};

/// Runs an entry point's body. Nothing unwinds out of it: a defect of ours is
/// `CUDA_ERROR_UNKNOWN`.
pub(crate) fn enter(name: &'static str, stream: Option<CUstream>, body: impl FnOnce() -> Cuda) -> CUresult {
    let _ = (name, stream);
    catch_unwind(AssertUnwindSafe(body)).unwrap_or(Err(CUresult::UNKNOWN)).into()
}

/// Answers a call that has no model.
pub(crate) fn unsupported(name: &'static str) -> CUresult {
    enter(name, None, || Err(CUresult::NOT_SUPPORTED))
}
