//! A thin layer over cudarc's driver bindings: handles that free themselves, errors with names.
//!
//! The harness sits on `cudarc::driver::sys` and not on cudarc's safe layer, because the safe
//! layer waits on and records events of its own around each launch (an isolation error inside a
//! capture, chelsea0x3b/cudarc#501) and keeps errors of `Drop` for the next call.

mod conditional;
pub(crate) mod encoded;
mod event;
mod graph;
pub(crate) mod live;
mod memory;
mod module;
mod patch;
mod pool;
mod session;
mod stream;
pub(crate) mod tensor_map;
mod tiled;

pub use conditional::{Body, Condition, ConditionalHandle, end_body};
pub use event::Event;
pub use graph::{CapturedGraph, CopyEnd, GraphExec, GraphNode, NodeKind};
pub use memory::{
    Allocation, DeviceMemory, Guard, MemoryPool, PinnedMemory, extent, free_memory, graph_memory, is_pinned, peek,
    read, slack, wait_for_all, write,
};
pub(crate) use module::How;
pub use module::{Function, LoadedModule};
pub use patch::ParameterWord;
pub use pool::{PoolBytes, pool_bytes, pools_of_device};
pub(crate) use session::CurrentContext;
pub use session::{DeviceFacts, Session};
pub use stream::Stream;
pub(crate) use stream::capture_tail;
pub use stream::nodes_in_capture;
pub use tiled::Tiled;

use cudarc::driver::sys::CUresult;
use graphproof_driver::record::{self, Reason};

/// A failed driver call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{function} returned {name}{}{}",
    runtime_name(*.code).map(|n| format!(" ({n})")).unwrap_or_default(),
    why.as_ref().map(|why| format!(": {why}")).unwrap_or_default()
)]
pub struct CudaError {
    /// Driver entry point, such as `cuStreamSynchronize`.
    pub function: &'static str,
    /// `CUresult` as a number.
    pub code: u32,
    /// Its name, such as `CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED`.
    pub name: String,
    /// What the driver, or the harness in its place, knows about the reason.
    pub why: Option<String>,
}

/// `CUDA_ERROR_NOT_SUPPORTED`.
pub(crate) const NOT_SUPPORTED: u32 = 801;

impl CudaError {
    /// The error of `function` returning `code`.
    pub fn new(function: &'static str, code: CUresult) -> Self {
        CudaError { function, code: code as u32, name: format!("{code:?}"), why: None }
    }

    /// The error of `function` returning the number `code`, as a record keeps it.
    pub(crate) fn from_code(function: &'static str, code: u32) -> Self {
        let name = graphproof_driver::abi::CUresult(code).name().map(str::to_owned);
        CudaError { function, code, name: name.unwrap_or_else(|| format!("CUresult {code}")), why: None }
    }

    /// An answer of the driver's that came by way of a framework, in the framework's words.
    pub fn told(function: &'static str, code: u32, why: String) -> Self {
        CudaError { why: Some(why), ..Self::from_code(function, code) }
    }

    /// Whether the error belongs to the context rather than to the call: every later call of
    /// this process will fail too (CUDA driver API, "sticky" errors).
    pub fn is_sticky(&self) -> bool {
        matches!(self.code, 214 | 219 | 700 | 702 | 710 | 714..=720)
    }
}

use crate::vocabulary::runtime_name;

/// Turns a driver call's result into one that names the call.
///
/// # Errors
/// Anything but `CUDA_SUCCESS`.
pub fn check(function: &'static str, code: CUresult) -> Result<(), CudaError> {
    if code == CUresult::CUDA_SUCCESS {
        return Ok(());
    }
    let error = CudaError::new(function, code);
    // A fault is told in full by the finding about it.
    let about = |reason: &Reason| reason.result.0 == error.code && !reason.text.is_empty() && !error.is_sticky();
    let why = record::last_reason().filter(about).map(|reason| reason.text);
    Err(CudaError { why, ..error })
}

/// Calls a driver function by name and checks its result.
macro_rules! cu {
    ($function:ident($($argument:expr),* $(,)?)) => {
        // SAFETY: every call stands in `crate::cuda`, whose wrappers pass handles that the driver
        // gave them and that they own, and pointers to locals that outlive the call.
        $crate::cuda::check(stringify!($function), unsafe { cudarc::driver::sys::$function($($argument),*) })
    };
}
pub(crate) use cu;
