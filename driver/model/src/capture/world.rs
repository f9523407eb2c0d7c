//! The state of all captures, and where work goes.

use std::collections::{HashMap, HashSet};

use super::recapture::Recapture;
use super::tail::Tail;
use super::unknowns;
use crate::graph::{EdgeData, Graphs};
use crate::{CaptureId, ContextId, EventId, StreamId, StreamKind, ThreadId};
use graphproof_api::{CUresult, Cuda};

/// `CUstreamCaptureMode`, of a capture and of a thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(u32)]
pub enum CaptureMode {
    /// `CU_STREAM_CAPTURE_MODE_GLOBAL`.
    #[default]
    Global = 0,
    /// `CU_STREAM_CAPTURE_MODE_THREAD_LOCAL`.
    ThreadLocal = 1,
    /// `CU_STREAM_CAPTURE_MODE_RELAXED`.
    Relaxed = 2,
}

impl CaptureMode {
    /// The mode with that C value; others are `CUDA_ERROR_INVALID_VALUE`.
    pub fn from_raw(value: u32) -> Cuda<Self> {
        [Self::Global, Self::ThreadLocal, Self::Relaxed].get(value as usize).copied().ok_or(CUresult::INVALID_VALUE)
    }
}

/// `CUstreamCaptureStatus`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u32)]
#[allow(missing_docs, reason = "the names are CUDA's")]
pub enum CaptureStatus {
    None = 0,
    Active = 1,
    Invalidated = 2,
}

/// Where work goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placement {
    /// To the engine, now.
    Eager,
    /// Into the graph of this capture.
    Captured(CaptureId),
}

/// A capture sequence, from its begin to its end.
#[derive(Debug)]
pub(super) struct Capture {
    pub origin: StreamId,
    /// The thread that began it.
    pub thread: ThreadId,
    pub mode: CaptureMode,
    pub graph: u64,
    /// The graph was the caller's before.
    pub to_graph: bool,
    pub invalidated: bool,
    /// Enrolled streams that exist, the origin first.
    pub streams: Vec<StreamId>,
    /// Captured nodes, in order.
    pub nodes: Vec<u64>,
    /// Nodes that were taken out of a dependency set by hand.
    pub excused: HashSet<u64>,
    /// Events recorded in it; they let go of their nodes when it ends.
    pub events: Vec<EventId>,
    pub recapture: Option<Recapture>,
}

/// A stream that takes part in a capture.
#[derive(Debug)]
pub(super) struct Enrolled {
    pub capture: CaptureId,
    pub tail: Tail,
    /// Arrays lent out by `cuStreamGetCaptureInfo`, until the next such call on the stream.
    pub lent: (Box<[u64]>, Box<[EdgeData]>),
}

/// What an event was last recorded for.
#[derive(Debug)]
pub(super) enum Recorded {
    Eagerly,
    InCapture(CaptureId, Tail),
}

/// All captures of the process.
#[derive(Debug, Default)]
pub struct CaptureWorld {
    pub(super) captures: HashMap<CaptureId, Capture>,
    /// By [`StreamId::key`]; streams that do not capture are not here.
    pub(super) streams: HashMap<u64, Enrolled>,
    pub(super) events: HashMap<EventId, Recorded>,
    /// Modes of threads where it is not the default, as they were given.
    pub(super) threads: HashMap<ThreadId, u32>,
    /// Graphs of captures that ended without a `cuStreamEndCapture`, and whether each outlasts that.
    pub(super) orphans: Vec<(u64, bool)>,
    pub(super) begun: u64,
}

impl CaptureWorld {
    /// Before any call that is given `stream`, whatever it would do: the legacy stream, by either of its
    /// handles, cannot be named beside a capture of a blocking stream, for which it would wait (D \[PG\]; M,
    /// H200, driver 580.159.04, for calls that only read too). A non-blocking capture is not concerned:
    /// work on the legacy stream runs now and is missing from the graph.
    ///
    /// `cuStreamIsCapturing` and `cuStreamGetCaptureInfo` alone do without:
    /// [`CaptureWorld::is_capturing`].
    ///
    /// # Errors
    /// 906, and those captures are invalidated.
    pub fn name_stream(&mut self, stream: StreamId) -> Cuda {
        if stream.kind == StreamKind::Legacy { self.refuse_legacy(stream.context) } else { Ok(()) }
    }

    /// Before work is put on `stream`.
    ///
    /// # Errors
    /// 901 on a stream whose capture is invalidated.
    pub fn classify_enqueue(&mut self, stream: StreamId) -> Cuda<Placement> {
        if self.captures.is_empty() {
            return Ok(Placement::Eager);
        }
        if let Some(enrolled) = self.streams.get(&stream.key) {
            let id = enrolled.capture;
            // D [PG]: further use of an invalidated capture's streams is an error.
            if self.is_invalidated(id) {
                return Err(CUresult::STREAM_CAPTURE_INVALIDATED);
            }
            return Ok(Placement::Captured(id));
        }
        Ok(Placement::Eager)
    }

    /// Before `cuMemAllocAsync` or `cuMemFreeAsync`.
    ///
    /// M (H200, driver 580.159.04): on a stream that does not capture they are potentially unsafe
    /// calls, as `cuMemAlloc` is; on the legacy stream 906 comes first, from any thread. (warp#1714
    /// saw a success that invalidates on an older driver.)
    ///
    /// # Errors
    /// As [`CaptureWorld::classify_enqueue`]; 900.
    pub fn classify_stream_ordered(&mut self, thread: ThreadId, stream: StreamId) -> Cuda<Placement> {
        let placement = self.classify_enqueue(stream)?;
        if placement == Placement::Eager {
            self.unsafe_call(thread)?;
        }
        Ok(placement)
    }

    /// Before work that no capture takes: `cuStreamAddCallback`, `cuStreamAttachMemAsync` (D),
    /// `cuGraphUpload`, `cuGraphLaunch`, `cuMemcpyPeerAsync` (M, H200, driver 580.159.04: 900 in every
    /// mode, and the capture is invalidated; one that is invalidated already changes nothing).
    ///
    /// # Errors
    /// 900.
    pub fn classify_uncapturable(&mut self, stream: StreamId) -> Cuda {
        self.conflicting_call(stream)
    }

    /// `cuStreamWaitEvent` was given no valid event: M (H200, driver 580.159.04), the capture of its
    /// stream is invalidated, while a `cuEventRecord` of such an event leaves it alone.
    pub fn refused_wait(&mut self, stream: StreamId) {
        if let Some(id) = self.streams.get(&stream.key).map(|enrolled| enrolled.capture) {
            self.invalidate(id);
        }
    }

    /// The stream's handle is destroyed.
    ///
    /// M [HT 2026]: a forked stream may go; what it captured still has to be joined.
    pub fn stream_destroyed(&mut self, stream: StreamId) {
        let Some(enrolled) = self.streams.remove(&stream.key) else { return };
        let id = enrolled.capture;
        let Some(capture) = self.captures.get_mut(&id) else { return };
        capture.streams.retain(|other| other.key != stream.key);
        if capture.origin.key != stream.key {
            return;
        }
        // M (H200, driver 580.159.04): the forks' status is NONE from here on.
        if let Some(capture) = self.finish(id) {
            self.orphans.push((capture.graph, capture.recapture.is_some()));
        }
    }

    /// The event's handle is destroyed.
    pub fn event_destroyed(&mut self, event: EventId) {
        self.events.remove(&event);
    }

    /// `CUstreamCaptureStatus` of a stream, for the call record.
    pub fn status(&self, stream: StreamId) -> u32 {
        self.stream_status(stream) as u32
    }

    /// As [`CaptureWorld::status`].
    pub fn stream_status(&self, stream: StreamId) -> CaptureStatus {
        match self.streams.get(&stream.key) {
            None => CaptureStatus::None,
            Some(enrolled) if self.is_invalidated(enrolled.capture) => CaptureStatus::Invalidated,
            Some(_) => CaptureStatus::Active,
        }
    }

    /// Number of captures that have begun and not ended.
    pub fn ongoing(&self) -> usize {
        self.captures.len()
    }

    pub(super) fn is_invalidated(&self, id: CaptureId) -> bool {
        self.captures.get(&id).is_none_or(|capture| capture.invalidated)
    }

    pub(super) fn invalidate(&mut self, id: CaptureId) {
        if let Some(capture) = self.captures.get_mut(&id) {
            capture.invalidated = true;
        }
    }

    /// Captures with a blocking stream of that context.
    pub(super) fn blocking_captures(&self, context: ContextId) -> Vec<CaptureId> {
        let blocking = |stream: &StreamId| {
            stream.context == context && matches!(stream.kind, StreamKind::Blocking | StreamKind::PerThread)
        };
        self.captures
            .iter()
            .filter(|(_, capture)| !capture.invalidated || unknowns::INVALIDATED_STILL_BLOCKS_LEGACY)
            .filter(|(_, capture)| capture.streams.iter().any(blocking))
            .map(|(&id, _)| id)
            .collect()
    }

    fn refuse_legacy(&mut self, context: ContextId) -> Cuda {
        let beside = self.blocking_captures(context);
        if beside.is_empty() {
            return Ok(());
        }
        beside.into_iter().for_each(|id| self.invalidate(id));
        Err(CUresult::STREAM_CAPTURE_IMPLICIT)
    }

    /// Takes a capture out of the world: all its streams leave capture mode.
    pub(super) fn finish(&mut self, id: CaptureId) -> Option<Capture> {
        let capture = self.captures.remove(&id)?;
        for stream in &capture.streams {
            self.streams.remove(&stream.key);
        }
        for event in &capture.events {
            if let Some(Recorded::InCapture(of, tail)) = self.events.get_mut(event)
                && *of == id
            {
                tail.clear();
            }
        }
        Some(capture)
    }

    /// Destroys the graphs of captures whose origin was destroyed: call it then (M, H200, driver
    /// 580.159.04: at once, the caller's own too).
    pub fn reap(&mut self, graphs: &mut Graphs) {
        for (graph, stays) in self.orphans.drain(..) {
            graphs.count_capture(graph, false);
            if !stays {
                graphs.remove_graph(graph);
            }
        }
    }
}
