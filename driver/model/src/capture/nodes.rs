//! Captured work becomes nodes.

use std::borrow::Cow;

use super::world::CaptureWorld;
use crate::graph::{EdgeData, Graphs, NodeInfo, NodeType};
use crate::work::NodeParams;
use crate::{CaptureId, StreamId, World};
use graphproof_api::{CUresult, Cuda};

impl CaptureWorld {
    /// Adds work to the graph of a capture, behind the stream's tail, and returns its node.
    ///
    /// # Errors
    /// What adding the node to the graph by hand would give; 918 if a recapture departs from its
    /// graph.
    pub fn capture_node(
        &mut self,
        graphs: &mut Graphs,
        id: CaptureId,
        stream: StreamId,
        work: NodeParams,
        info: NodeInfo,
    ) -> Cuda<u64> {
        let capture = self.captures.get_mut(&id).ok_or(CUresult::STREAM_CAPTURE_INVALIDATED)?;
        let enrolled = self.streams.get_mut(&stream.key).ok_or(CUresult::ILLEGAL_STATE)?;
        let edges = edges(graphs, enrolled.tail.nodes(), &work);
        let added = match &mut capture.recapture {
            None => graphs.add_node(capture.graph, &edges, work, info),
            Some(recapture) => recapture.next(graphs, &edges, work, info),
        };
        self.captured(id, stream, added)
    }

    fn captured(&mut self, id: CaptureId, stream: StreamId, added: Cuda<u64>) -> Cuda<u64> {
        match added {
            Ok(node) => {
                if let Some(enrolled) = self.streams.get_mut(&stream.key) {
                    enrolled.tail.replace(node);
                }
                if let Some(capture) = self.captures.get_mut(&id) {
                    capture.nodes.push(node);
                }
                Ok(node)
            }
            Err(code) => {
                // M (H200, driver 580.159.04): work that is refused for its arguments, such as the free
                // of what is no graph allocation, makes no node and leaves the capture alone.
                if code == CUresult::GRAPH_RECAPTURE_FAILURE {
                    self.invalidate(id);
                }
                Err(code)
            }
        }
    }
}

/// The edges from a stream's tail to work that is captured. M (H200, driver 580.159.04): the launch of a kernel that may
/// begin early depends programmatically on each kernel in the tail, whatever streams they came from, and fully on all else.
fn edges<'a>(graphs: &Graphs, tail: &'a [(u64, EdgeData)], work: &NodeParams) -> Cow<'a, [(u64, EdgeData)]> {
    let NodeParams::Kernel(kernel) = work else { return Cow::Borrowed(tail) };
    if !kernel.begins_early() {
        return Cow::Borrowed(tail);
    }
    let kernels = |node: u64| graphs.node(node).is_ok_and(|node| node.work().node_type() == NodeType::Kernel);
    let edge = |&(node, data): &(u64, EdgeData)| {
        let early = data == EdgeData::FULL && kernels(node);
        (node, if early { EdgeData::PROGRAMMATIC_LAUNCH } else { data })
    };
    tail.iter().map(edge).collect()
}

/// Adds work to the graph of a capture, behind the stream's tail. See
/// [`CaptureWorld::capture_node`].
pub fn capture_work(world: &mut World, id: CaptureId, stream: StreamId, work: NodeParams) -> Cuda {
    let World { capture, graphs, .. } = world;
    let info = NodeInfo { context: stream.context.0, ..NodeInfo::default() };
    capture.capture_node(graphs, id, stream, work, info).map(|_| ())
}
