//! Captures and graphs.

use cudarc::driver::sys::{self, CUgraph, CUgraphExec, CUresult, CUstream};

/// Begins a capture in GLOBAL mode.
pub fn begin_capture(stream: CUstream) -> CUresult {
    call!(cuStreamBeginCapture_v2(stream, sys::CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_GLOBAL))
}

/// Ends a capture; the graph, if there is one, belongs to the caller.
pub fn end_capture(stream: CUstream) -> (CUresult, Option<Graph>) {
    let mut graph = std::ptr::null_mut();
    let result = call!(cuStreamEndCapture(stream, &mut graph));
    (result, (!graph.is_null()).then_some(Graph(graph)))
}

/// Whether the stream is being captured.
pub fn is_capturing(stream: CUstream) -> bool {
    let mut status = sys::CUstreamCaptureStatus::CU_STREAM_CAPTURE_STATUS_NONE;
    let result = call!(cuStreamIsCapturing(stream, &mut status));
    result == CUresult::CUDA_SUCCESS && status != sys::CUstreamCaptureStatus::CU_STREAM_CAPTURE_STATUS_NONE
}

/// A graph.
#[derive(Debug)]
pub struct Graph(CUgraph);

/// An executable graph.
#[derive(Debug)]
pub struct Exec(CUgraphExec);

// SAFETY: the handle may move between threads; each use is by one thread at a time.
unsafe impl Send for Exec {}
// SAFETY: as above.
unsafe impl Sync for Exec {}

impl Graph {
    /// `cuGraphInstantiate`.
    pub fn instantiate(&self) -> Result<Exec, CUresult> {
        let mut exec = std::ptr::null_mut();
        match call!(cuGraphInstantiateWithFlags(&mut exec, self.0, 0)) {
            CUresult::CUDA_SUCCESS => Ok(Exec(exec)),
            error => Err(error),
        }
    }

    /// `cuGraphDestroy`.
    pub fn destroy(self) -> CUresult {
        call!(cuGraphDestroy(self.0))
    }
}

impl Exec {
    /// `cuGraphExecUpdate`.
    pub fn update(&self, graph: &Graph) -> CUresult {
        let mut info = sys::CUgraphExecUpdateResultInfo {
            result: sys::CUgraphExecUpdateResult::CU_GRAPH_EXEC_UPDATE_SUCCESS,
            errorNode: std::ptr::null_mut(),
            errorFromNode: std::ptr::null_mut(),
        };
        call!(cuGraphExecUpdate_v2(self.0, graph.0, &mut info))
    }

    /// `cuGraphLaunch`.
    pub fn launch(&self, stream: CUstream) -> CUresult {
        call!(cuGraphLaunch(self.0, stream))
    }

    /// `cuGraphExecDestroy`.
    pub fn destroy(self) -> CUresult {
        call!(cuGraphExecDestroy(self.0))
    }
}
