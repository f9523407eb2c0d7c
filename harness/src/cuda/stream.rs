//! Streams and their capture.

use std::ffi::c_void;

use cudarc::driver::sys::{CUgraph, CUstream, CUstreamCaptureMode, CUstreamCaptureStatus};

use super::{CapturedGraph, CudaError, GraphNode, cu};
use crate::capture_as::{CaptureMode, StreamKind};

/// A stream: one of its own, destroyed with this value, or one of the default streams.
#[derive(Debug)]
pub struct Stream {
    raw: CUstream,
    owned: bool,
}

/// `CU_STREAM_LEGACY` and `CU_STREAM_PER_THREAD`: handles that are no addresses.
const LEGACY: usize = 1;
const PER_THREAD: usize = 2;

// SAFETY: a stream handle may be used from any thread; the driver API is thread-safe.
unsafe impl Send for Stream {}
// SAFETY: as above.
unsafe impl Sync for Stream {}

impl Stream {
    /// A *blocking* stream (`CU_STREAM_DEFAULT`): work on the legacy stream conflicts with it, so
    /// that a capture of it fails where a non-blocking one would let that work escape silently.
    ///
    /// # Errors
    /// The driver's.
    pub fn blocking() -> Result<Self, CudaError> {
        Self::create(0)
    }

    fn create(flags: u32) -> Result<Self, CudaError> {
        let mut raw = std::ptr::null_mut();
        cu!(cuStreamCreate(&mut raw, flags))?;
        Ok(Stream { raw, owned: true })
    }

    /// A stream of a kind.
    ///
    /// # Errors
    /// The driver's.
    pub fn of(kind: StreamKind) -> Result<Self, CudaError> {
        let default = |handle: usize| Ok(Stream { raw: std::ptr::without_provenance_mut(handle), owned: false });
        match kind {
            StreamKind::Blocking => Self::blocking(),
            StreamKind::NonBlocking => Self::create(1),
            StreamKind::PerThread => default(PER_THREAD),
            StreamKind::Legacy => default(LEGACY),
        }
    }

    /// Somebody else's stream, which lives as long as this value is used.
    pub(crate) fn borrowed(raw: CUstream) -> Self {
        Stream { raw, owned: false }
    }

    /// The handle.
    pub fn raw(&self) -> CUstream {
        self.raw
    }

    /// Waits until all work of the stream is done.
    ///
    /// # Errors
    /// The driver's; a fault of an earlier kernel among them.
    pub fn synchronize(&self) -> Result<(), CudaError> {
        cu!(cuStreamSynchronize(self.raw))
    }

    /// Enqueues a call of `function` on a thread of the driver. The function must not call CUDA.
    /// The caller drains the stream before `argument` goes out of scope.
    ///
    /// # Errors
    /// The driver's.
    pub(crate) fn call_host<T: Sync>(&self, function: fn(&T), argument: &T) -> Result<(), CudaError> {
        struct Call<'a, T>(fn(&T), &'a T);
        unsafe extern "C" fn run<T>(call: *mut c_void) {
            // SAFETY: `call` is the box that was leaked below, and is taken back once.
            let call = unsafe { Box::from_raw(call.cast::<Call<'_, T>>()) };
            // A panic must not cross the C boundary; the function only waits.
            let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| call.0(call.1)));
        }
        let call = Box::into_raw(Box::new(Call(function, argument)));
        cu!(cuLaunchHostFunc(self.raw, Some(run::<T>), call.cast())).inspect_err(|_| {
            // SAFETY: the driver did not take the call, so the box is still ours.
            drop(unsafe { Box::from_raw(call) });
        })
    }

    /// Begins capture. GLOBAL is the strictest mode: any thread's unsafe call is an error.
    ///
    /// # Errors
    /// The driver's; the legacy stream cannot be captured.
    pub fn begin_capture(&self, mode: CaptureMode) -> Result<(), CudaError> {
        let mode = match mode {
            CaptureMode::Global => CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_GLOBAL,
            CaptureMode::ThreadLocal => CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL,
            CaptureMode::Relaxed => CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_RELAXED,
        };
        cu!(cuStreamBeginCapture_v2(self.raw, mode))
    }

    /// Ends capture.
    ///
    /// # Errors
    /// The driver's: 901 if an earlier call invalidated the capture, 904 if a fork was not joined, ….
    pub fn end_capture(&self) -> Result<CapturedGraph, CudaError> {
        let mut graph = std::ptr::null_mut();
        cu!(cuStreamEndCapture(self.raw, &mut graph))?;
        Ok(CapturedGraph::from_raw(graph))
    }

    /// Whether the stream is still part of a capture, valid or not.
    ///
    /// # Errors
    /// The driver's.
    pub fn is_capturing(&self) -> Result<bool, CudaError> {
        let mut status = CUstreamCaptureStatus::CU_STREAM_CAPTURE_STATUS_NONE;
        cu!(cuStreamIsCapturing(self.raw, &mut status))?;
        Ok(status != CUstreamCaptureStatus::CU_STREAM_CAPTURE_STATUS_NONE)
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if !self.owned {
            return;
        }
        if let Err(error) = cu!(cuStreamDestroy_v2(self.raw)) {
            tracing::debug!(%error, "destroying a stream");
        }
    }
}

/// While capturing: the nodes that the next captured work would depend on, which are the
/// nodes just captured (CUDA Programming Guide, "Stream capture").
///
/// # Errors
/// The driver's.
pub(crate) fn capture_tail(stream: CUstream) -> Result<Vec<GraphNode>, CudaError> {
    Ok(capture_state(stream)?.1)
}

/// While capturing: the nodes of the graph in the making, in the order of their creation. None otherwise.
pub fn nodes_in_capture(stream: CUstream) -> Vec<GraphNode> {
    match capture_state(stream) {
        // The driver permits everything on such a graph but to destroy it or to remove nodes.
        Ok((graph, _)) if !graph.is_null() => {
            let graph = CapturedGraph::from_raw(graph);
            let nodes = graph.nodes().unwrap_or_default();
            graph.forget();
            nodes
        }
        _ => Vec::new(),
    }
}

/// While capturing: the graph in the making, and the nodes that the next work would depend on.
pub(super) fn capture_state(stream: CUstream) -> Result<(CUgraph, Vec<GraphNode>), CudaError> {
    let mut status = CUstreamCaptureStatus::CU_STREAM_CAPTURE_STATUS_NONE;
    let (mut id, mut graph) = (0, std::ptr::null_mut());
    let (mut nodes, mut edges, mut count) = (std::ptr::null(), std::ptr::null(), 0usize);
    cu!(cuStreamGetCaptureInfo_v3(stream, &mut status, &mut id, &mut graph, &mut nodes, &mut edges, &mut count))?;
    if nodes.is_null() || count == 0 {
        return Ok((graph, Vec::new()));
    }
    // SAFETY: the driver says that `nodes` holds `count` handles until the next call on the stream.
    let nodes = unsafe { std::slice::from_raw_parts(nodes, count) };
    Ok((graph, nodes.iter().map(|&node| GraphNode::from_raw(node)).collect()))
}
