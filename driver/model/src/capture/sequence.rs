//! Begin and end of a capture (`capture-semantics` 1.3).

use super::recapture::Recapture;
use super::tail::Tail;
use super::unknowns;
use super::world::{Capture, CaptureMode, CaptureWorld, Enrolled};
use crate::graph::{EdgeData, Graphs, Owner};
use crate::params::Callback;
use crate::{CaptureId, StreamId, StreamKind, ThreadId};
use graphproof_api::{CUresult, Cuda};

impl CaptureWorld {
    /// `cuStreamBeginCapture`.
    ///
    /// # Errors
    /// 900 on the legacy stream (M [HT :158-165], D); 401 if the stream captures already, as origin
    /// or fork, active or invalidated (M \[HT\], [HT 2026]).
    pub fn begin(
        &mut self,
        graphs: &mut Graphs,
        thread: ThreadId,
        stream: StreamId,
        mode: CaptureMode,
    ) -> Cuda<CaptureId> {
        self.may_begin(stream)?;
        self.reap(graphs);
        let graph = graphs.create_owned(Owner::Capture);
        Ok(self.start(graphs, thread, stream, mode, graph, false))
    }

    /// `cuStreamBeginCaptureToGraph`: adds to a graph of the caller.
    ///
    /// # Errors
    /// As [`CaptureWorld::begin`]; 401 if another capture adds to the graph; `CUDA_ERROR_INVALID_VALUE` if
    /// the graph or a dependency is not valid.
    pub fn begin_to_graph(
        &mut self,
        graphs: &mut Graphs,
        thread: ThreadId,
        stream: StreamId,
        graph: u64,
        dependencies: &[(u64, EdgeData)],
        mode: CaptureMode,
    ) -> Cuda<CaptureId> {
        self.may_begin(stream)?;
        graphs.graph(graph)?;
        // M (H200, driver 580.159.04), without dependencies; with some NVIDIA's driver crashes.
        if graphs.has_capture(graph) {
            return Err(CUresult::ILLEGAL_STATE);
        }
        let mut tail = Tail::default();
        for &(node, data) in dependencies {
            let known = graphs.node(node)?.graph() == graph && data.to_port == 0 && data.reserved == [0; 5];
            if !known || tail.contains(node) {
                return Err(CUresult::INVALID_VALUE);
            }
            tail.add(node, data);
        }
        self.reap(graphs);
        let id = self.start(graphs, thread, stream, mode, graph, true);
        if let Some(enrolled) = self.streams.get_mut(&stream.key) {
            enrolled.tail = tail;
        }
        Ok(id)
    }

    /// `cuStreamBeginRecaptureToGraph` (13.3). The graph's user objects are released first (D).
    ///
    /// # Errors
    /// As [`CaptureWorld::begin`]; `CUDA_ERROR_INVALID_VALUE` for a graph that is not the caller's,
    /// or to which a capture is adding.
    pub fn begin_recapture(
        &mut self,
        graphs: &mut Graphs,
        thread: ThreadId,
        stream: StreamId,
        mode: CaptureMode,
        graph: u64,
        callback: Option<Callback>,
    ) -> Cuda<CaptureId> {
        self.may_begin(stream)?;
        if graphs.graph(graph)?.owner() != Owner::User || graphs.has_capture(graph) {
            return Err(CUresult::INVALID_VALUE);
        }
        self.reap(graphs);
        graphs.release_objects_of(graph);
        let recapture = Recapture::new(graphs, graph, callback)?;
        let id = self.start(graphs, thread, stream, mode, graph, true);
        if let Some(capture) = self.captures.get_mut(&id) {
            capture.recapture = Some(recapture);
        }
        Ok(id)
    }

    fn may_begin(&mut self, stream: StreamId) -> Cuda {
        if stream.kind == StreamKind::Legacy {
            return Err(CUresult::STREAM_CAPTURE_UNSUPPORTED);
        }
        // M (H200, driver 580.159.04): the capture that is there goes on.
        if self.streams.contains_key(&stream.key) { Err(CUresult::ILLEGAL_STATE) } else { Ok(()) }
    }

    fn start(
        &mut self,
        graphs: &mut Graphs,
        thread: ThreadId,
        origin: StreamId,
        mode: CaptureMode,
        graph: u64,
        to_graph: bool,
    ) -> CaptureId {
        self.begun += 1;
        let id = CaptureId(self.begun);
        graphs.count_capture(graph, true);
        let capture = Capture {
            origin,
            thread,
            mode,
            graph,
            to_graph,
            invalidated: false,
            streams: vec![origin],
            nodes: Vec::new(),
            excused: Default::default(),
            events: Vec::new(),
            recapture: None,
        };
        self.captures.insert(id, capture);
        self.streams.insert(origin.key, Enrolled { capture: id, tail: Tail::default(), lent: Default::default() });
        id
    }

    /// `cuStreamEndCapture`: returns the graph.
    ///
    /// The checks come in this order: not capturing (the legacy stream never is), not the origin,
    /// invalidated, unjoined, wrong thread (M, H200, driver 580.159.04).
    ///
    /// # Errors
    /// Code 401. Code 903: the capture is invalidated (M, H200, driver 580.159.04). Codes 901, 904 (D; M
    /// [HT :905,919], cuda-python#2834) and 908 (M, H200, driver 580.159.04): the capture has ended, all
    /// its streams have left capture mode, and its graph is destroyed, one that was the caller's before
    /// or that a node owns too (M, H200, driver 580.159.04). A recapture adds nothing to its graph, which
    /// stays (a guess).
    pub fn end(&mut self, graphs: &mut Graphs, thread: ThreadId, stream: StreamId) -> Cuda<u64> {
        self.reap(graphs);
        let id = self.streams.get(&stream.key).map(|enrolled| enrolled.capture).ok_or(CUresult::ILLEGAL_STATE)?;
        let capture = self.captures.get(&id).ok_or(CUresult::ILLEGAL_STATE)?;
        if capture.origin.key != stream.key {
            self.invalidate(id);
            return Err(CUresult::STREAM_CAPTURE_UNMATCHED);
        }
        let verdict = self.verdict(graphs, id, thread);
        let capture = self.finish(id).ok_or(CUresult::ILLEGAL_STATE)?;
        graphs.count_capture(capture.graph, false);
        match verdict {
            Ok(()) => {
                if !capture.to_graph {
                    graphs.hand_over(capture.graph);
                }
                Ok(capture.graph)
            }
            Err(code) => {
                if capture.recapture.is_none() {
                    graphs.remove_graph(capture.graph);
                }
                Err(code)
            }
        }
    }

    fn verdict(&self, graphs: &Graphs, id: CaptureId, thread: ThreadId) -> Cuda {
        let capture = self.captures.get(&id).ok_or(CUresult::ILLEGAL_STATE)?;
        let enrolled = self.streams.get(&capture.origin.key).ok_or(CUresult::ILLEGAL_STATE)?;
        if capture.invalidated {
            return Err(CUresult::STREAM_CAPTURE_INVALIDATED);
        }
        // A graph inside another one goes with it.
        graphs.graph(capture.graph).map_err(|_| CUresult::STREAM_CAPTURE_INVALIDATED)?;
        // A [clr], D for the exceptions: every captured leaf must be in the origin's set. Nodes
        // added by hand, and nodes taken out of a set by hand, do not count.
        let joined = |node: u64| enrolled.tail.contains(node) || capture.excused.contains(&node);
        let leaf = |node: u64| graphs.node(node).is_ok_and(|node| node.dependents() == 0);
        if capture.nodes.iter().any(|&node| !joined(node) && leaf(node)) {
            return Err(CUresult::STREAM_CAPTURE_UNJOINED);
        }
        if capture.thread != thread && capture.mode != CaptureMode::Relaxed {
            return Err(CUresult::STREAM_CAPTURE_WRONG_THREAD);
        }
        match &capture.recapture {
            Some(recapture) if !recapture.is_complete() => Err(unknowns::RECAPTURE_INCOMPLETE),
            _ => Ok(()),
        }
    }
}
