//! Stream capture: the state machine. (Being written on branch `graph`; these are the questions
//! that the rest of the driver asks.)

use super::work::NodeParams;
use super::{CaptureId, EventId, StreamId, SyncTarget, ThreadId, World};
use crate::abi::{CUresult, Cuda};

/// Where work goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placement {
    /// To the engine, now.
    Eager,
    /// Into the graph of this capture.
    Captured(CaptureId),
}

/// All captures of the process.
#[derive(Debug, Default)]
pub struct CaptureWorld {}

impl CaptureWorld {
    /// Before work is put on `stream`.
    pub fn classify_enqueue(&mut self, _stream: StreamId) -> Cuda<Placement> {
        Ok(Placement::Eager)
    }

    /// Before a synchronous copy or fill, which uses the legacy stream.
    pub fn classify_legacy(&mut self, _stream: StreamId) -> Cuda {
        Ok(())
    }

    /// Before a potentially unsafe call by `thread`.
    pub fn unsafe_call(&mut self, _thread: ThreadId) -> Cuda {
        Ok(())
    }

    /// Before the host waits for or queries `target`.
    pub fn sync_call(&mut self, _thread: ThreadId, _target: SyncTarget) -> Cuda {
        Ok(())
    }

    /// Before `cuEventElapsedTime` reads the time of `event`.
    pub fn time_call(&mut self, _event: EventId) -> Cuda {
        Ok(())
    }

    /// `cuEventRecord`: `Captured` means that the event now names the stream's captured tail;
    /// `Eager` that the caller records it on the engine.
    pub fn record_event(&mut self, _event: EventId, _stream: StreamId) -> Cuda<Placement> {
        Ok(Placement::Eager)
    }

    /// `cuStreamWaitEvent`: `Captured` means that the dependency is in the graph now.
    pub fn wait_event(&mut self, _stream: StreamId, _event: EventId) -> Cuda<Placement> {
        Ok(Placement::Eager)
    }

    /// The stream's handle is destroyed.
    pub fn stream_destroyed(&mut self, _stream: StreamId) {}

    /// The event's handle is destroyed.
    pub fn event_destroyed(&mut self, _event: EventId) {}

    /// `CUstreamCaptureStatus` of a stream, for the call record: 0 none, 1 active, 2 invalidated.
    pub fn status(&self, _stream: StreamId) -> u32 {
        0
    }
}

/// Adds work to the graph of a capture, behind the stream's tail.
pub fn capture_work(_world: &mut World, _id: CaptureId, _stream: StreamId, _work: NodeParams) -> Cuda {
    Err(CUresult::NOT_SUPPORTED)
}
