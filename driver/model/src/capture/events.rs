//! Fork and join: events recorded and waited for (`capture-semantics` 1.5).

use super::tail::Tail;
use super::world::{CaptureStatus, CaptureWorld, Enrolled, Placement, Recorded};
use crate::{CaptureId, EventId, StreamId, StreamKind};
use graphproof_api::{CUresult, Cuda};

impl CaptureWorld {
    /// `cuEventRecord`: `Captured` means that the event now names the stream's captured tail (no
    /// node is made, D \[PG\]); `Eager` that the caller records it on the engine.
    ///
    /// # Errors
    /// As [`CaptureWorld::classify_enqueue`].
    pub fn record_event(&mut self, event: EventId, stream: StreamId) -> Cuda<Placement> {
        let placement = self.classify_enqueue(stream)?;
        let recorded = match placement {
            Placement::Eager => Recorded::Eagerly,
            Placement::Captured(id) => {
                let known = matches!(self.events.get(&event), Some(&Recorded::InCapture(of, _)) if of == id);
                if let Some(capture) = self.captures.get_mut(&id).filter(|_| !known) {
                    capture.events.push(event);
                }
                let tail = self.streams.get(&stream.key).map(|enrolled| enrolled.tail.clone());
                Recorded::InCapture(id, tail.unwrap_or_default())
            }
        };
        self.events.insert(event, recorded);
        Ok(placement)
    }

    /// `cuStreamWaitEvent`: `Captured` means that the dependency is in the capture now, and that
    /// an idle stream has been enrolled.
    ///
    /// # Errors
    /// 905 for an event from outside the capture, 902 for one of another capture, 901 on an
    /// invalidated stream, 906 for the legacy stream, `CUDA_ERROR_INVALID_VALUE` for an event of a
    /// capture that is invalidated or has ended.
    pub fn wait_event(&mut self, stream: StreamId, event: EventId) -> Cuda<Placement> {
        let own = self.streams.get(&stream.key).map(|enrolled| enrolled.capture);
        let id = match (self.events.get(&event), own) {
            (Some(&Recorded::InCapture(id, _)), _) => id,
            (_, None) => return self.classify_enqueue(stream),
            (recorded, Some(own)) => {
                let crosses = match recorded {
                    // M [HTN _old.cc:884], cccl#8674: work of before the capture, in all modes.
                    Some(_) => Err(CUresult::STREAM_CAPTURE_ISOLATION),
                    // M (H200, driver 580.159.04): an empty set of work, so nothing crosses.
                    None => Ok(()),
                };
                return self.crossing(own, crosses);
            }
        };
        match own {
            Some(own) if own == id => self.join(stream, event, id),
            Some(own) => self.cross_capture_wait(own, id),
            None => self.enrol(stream, event, id),
        }
    }

    /// Whether no capture is in progress.
    pub fn is_idle(&self) -> bool {
        self.captures.is_empty()
    }

    /// Whether the event's last record is part of a capture in progress.
    pub fn is_captured(&self, event: EventId) -> bool {
        matches!(self.events.get(&event), Some(&Recorded::InCapture(id, _)) if !self.is_invalidated(id))
    }

    /// A dependency of a capturing stream on something outside its capture.
    fn crossing(&mut self, own: CaptureId, result: Result<(), CUresult>) -> Cuda<Placement> {
        if self.is_invalidated(own) {
            return Err(CUresult::STREAM_CAPTURE_INVALIDATED);
        }
        if result.is_err() {
            self.invalidate(own);
        }
        result.map(|()| Placement::Captured(own))
    }

    /// `cuStreamWaitEvent` with `CU_EVENT_WAIT_EXTERNAL`: `Captured` means that the caller adds a node.
    ///
    /// # Errors
    /// As [`CaptureWorld::wait_event`] for an event of a capture that is invalidated or has ended, outside a
    /// capture too (M, H200, driver 580.159.04); as [`CaptureWorld::classify_enqueue`].
    pub fn wait_external(&mut self, stream: StreamId, event: EventId) -> Cuda<Placement> {
        let placement = self.classify_enqueue(stream)?;
        let lost = matches!(self.events.get(&event), Some(&Recorded::InCapture(id, _)) if self.is_invalidated(id));
        match placement {
            Placement::Captured(own) if lost => self.crossing(own, Err(CUresult::INVALID_VALUE)),
            Placement::Eager if lost => Err(CUresult::INVALID_VALUE),
            _ => Ok(placement),
        }
    }

    /// M [HT 2026 CrossCaptureWaitIsRejected]: both captures are invalidated, with their forks. M (H200,
    /// driver 580.159.04): an event of a capture that is invalidated or has ended is of no use.
    fn cross_capture_wait(&mut self, own: CaptureId, other: CaptureId) -> Cuda<Placement> {
        let code = match self.captures.get(&other) {
            Some(capture) if !capture.invalidated => CUresult::STREAM_CAPTURE_MERGE,
            _ => CUresult::INVALID_VALUE,
        };
        let result = self.crossing(own, Err(code));
        if result == Err(CUresult::STREAM_CAPTURE_MERGE) {
            self.invalidate(other);
        }
        result
    }

    /// A stream of the capture waits for one of its events: the set joins the stream's.
    fn join(&mut self, stream: StreamId, event: EventId, id: CaptureId) -> Cuda<Placement> {
        if self.is_invalidated(id) {
            return Err(CUresult::STREAM_CAPTURE_INVALIDATED);
        }
        if let (Some(Recorded::InCapture(_, set)), Some(enrolled)) =
            (self.events.get(&event), self.streams.get_mut(&stream.key))
        {
            enrolled.tail.join(set);
        }
        Ok(Placement::Captured(id))
    }

    /// An idle stream waits for a captured event: it takes part in the capture from here (D [PG]).
    fn enrol(&mut self, stream: StreamId, event: EventId, id: CaptureId) -> Cuda<Placement> {
        match self.captures.get(&id) {
            // M (H200, driver 580.159.04), whether the capture ended well or not.
            None => return Err(CUresult::INVALID_VALUE),
            // M rocm-systems#11589 ("matching CUDA").
            Some(capture) if capture.invalidated => return Err(CUresult::INVALID_VALUE),
            Some(_) => {}
        }
        if stream.kind == StreamKind::Legacy {
            // M (H200, driver 580.159.04): it cannot capture, beside non-blocking streams neither.
            self.invalidate(id);
            return Err(CUresult::STREAM_CAPTURE_IMPLICIT);
        }
        let mut tail = Tail::default();
        if let Some(Recorded::InCapture(_, set)) = self.events.get(&event) {
            tail.join(set);
        }
        self.streams.insert(stream.key, Enrolled { capture: id, tail, lent: Default::default() });
        if let Some(capture) = self.captures.get_mut(&id) {
            capture.streams.push(stream);
        }
        debug_assert_eq!(self.stream_status(stream), CaptureStatus::Active);
        Ok(Placement::Captured(id))
    }
}
