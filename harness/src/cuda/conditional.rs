//! Conditional nodes in a capture: handle, node, and the capture of its body.

use std::mem::ManuallyDrop;

use cudarc::driver::sys::{
    CUDA_CONDITIONAL_NODE_PARAMS, CUgraph, CUgraphConditionalHandle, CUgraphConditionalNodeType, CUgraphNodeParams,
    CUgraphNodeType, CUstreamCaptureMode,
};

use super::stream::capture_state;
use super::{CapturedGraph, CudaError, GraphNode, Stream, cu};

/// What a conditional node does with its bodies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// Runs the first once if the value is not 0, else the second, if there is one.
    If,
    /// Runs it as long as the value is not 0.
    While,
    /// Runs the one whose number, from 0, is the value; none if there is none.
    Switch,
}

/// A body of a conditional node, which belongs to the node.
#[derive(Debug, Clone, Copy)]
pub struct Body(CUgraph);

impl Body {
    /// Shows the body's graph, which stays the node's.
    pub fn look<T>(self, look: impl FnOnce(&CapturedGraph) -> T) -> T {
        let graph = ManuallyDrop::new(CapturedGraph::from_raw(self.0));
        look(&graph)
    }

    /// Captures what `inner` gets from now on into the body, until [`end_body`].
    ///
    /// # Errors
    /// The driver's.
    pub fn begin(self, inner: &Stream) -> Result<(), CudaError> {
        let mode = CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_RELAXED;
        cu!(cuStreamBeginCaptureToGraph(inner.raw(), self.0, std::ptr::null(), std::ptr::null(), 0, mode))
    }
}

/// A conditional value of the graph that a stream is captured into.
#[derive(Debug, Clone, Copy)]
pub struct ConditionalHandle {
    raw: CUgraphConditionalHandle,
    graph: CUgraph,
}

impl ConditionalHandle {
    /// A value of the graph that `stream` is captured into; 0 at each launch of the graph.
    ///
    /// # Errors
    /// The driver's.
    pub fn new(stream: &Stream) -> Result<Self, CudaError> {
        let (graph, _) = capture_state(stream.raw())?;
        let mut raw = 0;
        // 1: CU_GRAPH_COND_ASSIGN_DEFAULT.
        cu!(cuGraphConditionalHandleCreate(&mut raw, graph, std::ptr::null_mut(), 0, 1))?;
        Ok(ConditionalHandle { raw, graph })
    }

    /// What a kernel is given to set the value.
    pub fn argument(&self) -> u64 {
        self.raw
    }

    /// Adds the node behind the work of `stream` so far, and makes the stream go on behind it. It has so
    /// many bodies.
    ///
    /// # Errors
    /// The driver's: two bodies of an `if`, and a `switch`, need CUDA 12.8.
    pub fn node(&self, kind: Condition, bodies: u32, stream: &Stream) -> Result<(GraphNode, Vec<Body>), CudaError> {
        let (_, after) = capture_state(stream.raw())?;
        let after: Vec<_> = after.iter().map(|node| node.raw()).collect();
        let kind = match kind {
            Condition::If => CUgraphConditionalNodeType::CU_GRAPH_COND_TYPE_IF,
            Condition::While => CUgraphConditionalNodeType::CU_GRAPH_COND_TYPE_WHILE,
            Condition::Switch => CUgraphConditionalNodeType::CU_GRAPH_COND_TYPE_SWITCH,
        };
        // SAFETY: plain data, for which zeros are valid: the first node type is a kernel's.
        let mut params: CUgraphNodeParams = unsafe { std::mem::zeroed() };
        params.type_ = CUgraphNodeType::CU_GRAPH_NODE_TYPE_CONDITIONAL;
        let mut context = std::ptr::null_mut();
        cu!(cuCtxGetCurrent(&mut context))?;
        params.__bindgen_anon_1.conditional = CUDA_CONDITIONAL_NODE_PARAMS {
            handle: self.raw,
            type_: kind,
            size: bodies,
            phGraph_out: std::ptr::null_mut(),
            ctx: context,
        };
        let mut node = std::ptr::null_mut();
        cu!(cuGraphAddNode_v2(&mut node, self.graph, after.as_ptr(), std::ptr::null(), after.len(), &mut params))?;
        // SAFETY: the member that was set above; the driver has filled in the array of `bodies` graphs, which is
        // the node's.
        let graphs =
            unsafe { std::slice::from_raw_parts(params.__bindgen_anon_1.conditional.phGraph_out, bodies as usize) };
        let bodies = graphs.iter().map(|&graph| Body(graph)).collect();
        // 1: CU_STREAM_SET_CAPTURE_DEPENDENCIES.
        cu!(cuStreamUpdateCaptureDependencies_v2(stream.raw(), &mut node, std::ptr::null(), 1, 1))?;
        Ok((GraphNode::from_raw(node), bodies))
    }
}

/// Ends what [`Body::begin`] began. The graph of the body belongs to its node.
///
/// # Errors
/// The driver's.
pub fn end_body(inner: &Stream) -> Result<(), CudaError> {
    inner.end_capture().map(CapturedGraph::forget)
}
