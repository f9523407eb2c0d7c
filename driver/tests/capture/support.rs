//! A capture world without a device, with streams and events named by numbers.
#![allow(dead_code, reason = "each test file uses a part")]

use graphproof_driver::abi::{CUresult, Cuda};
use graphproof_driver::software::capture::{CaptureMode, CaptureStatus, CaptureWorld, Placement};
use graphproof_driver::software::graph::{EdgeData, Graphs, NodeInfo};
use graphproof_driver::software::work::{MemsetWork, NodeParams};
use graphproof_driver::software::{CaptureId, ContextId, EventId, StreamId, StreamKind, ThreadId};

pub const MODES: [CaptureMode; 3] = [CaptureMode::Global, CaptureMode::ThreadLocal, CaptureMode::Relaxed];
/// The thread that captures, and another one.
pub const T: ThreadId = ThreadId(1);
pub const OTHER: ThreadId = ThreadId(2);
pub const CONTEXT: ContextId = ContextId(0xc0);
pub const LEGACY: StreamId = StreamId { key: 1, kind: StreamKind::Legacy, context: CONTEXT };

pub const fn stream(key: u64) -> StreamId {
    StreamId { key, kind: StreamKind::Blocking, context: CONTEXT }
}

pub const fn non_blocking(key: u64) -> StreamId {
    StreamId { key, kind: StreamKind::NonBlocking, context: CONTEXT }
}

pub const fn per_thread(key: u64) -> StreamId {
    StreamId { key, kind: StreamKind::PerThread, context: CONTEXT }
}

pub const S: StreamId = stream(10);
pub const U: StreamId = stream(11);
pub const V: StreamId = stream(12);
pub const E: EventId = EventId(0xe0);
pub const F: EventId = EventId(0xf0);

/// Distinct work: a fill with that value.
pub fn fill(value: u32) -> NodeParams {
    NodeParams::Memset(MemsetWork { dst: 0x1000, pitch: 0, value, element_size: 4, width: 1, height: 1 })
}

#[derive(Default)]
pub struct Model {
    pub capture: CaptureWorld,
    pub graphs: Graphs,
}

impl Model {
    /// A model in which `stream` captures in `mode`, begun by [`T`].
    pub fn capturing(stream: StreamId, mode: CaptureMode) -> Self {
        let mut model = Self::default();
        model.begin(stream, mode).expect("an idle stream can capture");
        model
    }

    pub fn begin(&mut self, stream: StreamId, mode: CaptureMode) -> Cuda<CaptureId> {
        self.capture.name_stream(stream)?;
        self.capture.begin(&mut self.graphs, T, stream, mode)
    }

    /// Enqueues work: `Some(node)` if it was captured, `None` if it would run now.
    pub fn enqueue(&mut self, stream: StreamId, work: NodeParams) -> Cuda<Option<u64>> {
        self.capture.name_stream(stream)?;
        match self.capture.classify_enqueue(stream)? {
            Placement::Eager => Ok(None),
            Placement::Captured(id) => {
                self.capture.capture_node(&mut self.graphs, id, stream, work, NodeInfo::default()).map(Some)
            }
        }
    }

    /// Captures one more node and returns it.
    pub fn node(&mut self, stream: StreamId) -> u64 {
        let value = stream.key as u32;
        self.enqueue(stream, fill(value)).expect("the stream can be used").expect("the stream captures")
    }

    pub fn record(&mut self, event: EventId, stream: StreamId) -> Cuda<Placement> {
        self.capture.name_stream(stream)?;
        self.capture.record_event(event, stream)
    }

    pub fn wait(&mut self, stream: StreamId, event: EventId) -> Cuda<Placement> {
        self.capture.name_stream(stream)?;
        self.capture.wait_event(stream, event)
    }

    pub fn end(&mut self, stream: StreamId) -> Cuda<u64> {
        self.capture.name_stream(stream)?;
        self.capture.end(&mut self.graphs, T, stream)
    }

    pub fn status(&self, stream: StreamId) -> CaptureStatus {
        self.capture.stream_status(stream)
    }

    /// From and to of each edge, as positions in order of creation.
    pub fn edges(&self, graph: u64) -> Vec<(usize, usize)> {
        let nodes: Vec<u64> = self.graphs.nodes(graph).expect("a graph").map(|(node, _)| node).collect();
        let place = |node| nodes.iter().position(|&other| other == node).expect("an edge joins nodes of its graph");
        self.graphs.edges(graph).expect("a graph").into_iter().map(|(from, to, _)| (place(from), place(to))).collect()
    }

    /// The capture on `stream` is invalidated, and its end says so and ends it.
    pub fn assert_invalidated(&mut self, stream: StreamId) {
        assert_eq!(self.status(stream), CaptureStatus::Invalidated);
        assert_eq!(self.end(stream), Err(CUresult::STREAM_CAPTURE_INVALIDATED));
        assert_eq!(self.status(stream), CaptureStatus::None);
    }

    /// The capture on `stream` goes on and can end well.
    pub fn assert_intact(&mut self, stream: StreamId) {
        assert_eq!(self.status(stream), CaptureStatus::Active);
        assert!(self.end(stream).is_ok());
    }
}

/// A full dependency on a node.
pub fn full(node: u64) -> (u64, EdgeData) {
    (node, EdgeData::FULL)
}
