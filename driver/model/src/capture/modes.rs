//! Potentially unsafe calls, calls that necessarily conflict, and the mode of a thread.

use super::unknowns;
use super::world::{Capture, CaptureMode, CaptureWorld, Recorded};
use crate::{CaptureId, EventId, StreamId, SyncTarget, ThreadId};
use graphproof_api::{CUresult, Cuda};

impl CaptureWorld {
    /// `cuThreadExchangeStreamCaptureMode`: returns the previous mode. M (H200, driver 580.159.04):
    /// any value is taken and handed back; one that is no mode acts as GLOBAL (a guess).
    pub fn exchange_mode(&mut self, thread: ThreadId, mode: u32) -> u32 {
        const DEFAULT: u32 = CaptureMode::Global as u32;
        let previous = match mode {
            DEFAULT => self.threads.remove(&thread),
            mode => self.threads.insert(thread, mode),
        };
        previous.unwrap_or(DEFAULT)
    }

    /// Before a potentially unsafe call by `thread`.
    ///
    /// D (cuda.h, cuThreadExchangeStreamCaptureMode): a RELAXED thread may; otherwise the
    /// thread's own captures that are not RELAXED forbid it, and for a GLOBAL thread also other
    /// threads' GLOBAL captures. M [HT StreamSync_OngoingCapture_MThread]: all of these are
    /// invalidated.
    ///
    /// # Errors
    /// 900.
    pub fn unsafe_call(&mut self, thread: ThreadId) -> Cuda {
        if self.captures.is_empty() {
            return Ok(());
        }
        let mode = self.threads.get(&thread).and_then(|&mode| CaptureMode::from_raw(mode).ok()).unwrap_or_default();
        let forbids = |capture: &Capture| match (mode, capture.thread == thread) {
            (CaptureMode::Relaxed, _) => false,
            (_, true) => capture.mode != CaptureMode::Relaxed,
            (CaptureMode::Global, false) => capture.mode == CaptureMode::Global,
            (CaptureMode::ThreadLocal, false) => false,
        };
        let ongoing = |capture: &Capture| !capture.invalidated || unknowns::INVALIDATED_STILL_FORBIDS;
        self.refuse(|capture| ongoing(capture) && forbids(capture))
    }

    /// Before a call that no capturing stream bears, whatever the mode and the thread: a host wait
    /// or query (D, M [HT :813-818]), `cuStreamGetFlags` and `cuStreamGetId` (M, H200, driver
    /// 580.159.04, where it makes no difference that the capture is invalidated already).
    ///
    /// # Errors
    /// 900, and the capture is invalidated.
    pub fn conflicting_call(&mut self, stream: StreamId) -> Cuda {
        let Some(id) = self.streams.get(&stream.key).map(|enrolled| enrolled.capture) else { return Ok(()) };
        self.invalidate(id);
        Err(CUresult::STREAM_CAPTURE_UNSUPPORTED)
    }

    /// Before a call that reads or sets what a stream is made with: `cuStreamGetCtx`,
    /// `cuStreamGetPriority`, `cuStreamCopyAttributes` (M, H200, driver 580.159.04), and by kinship the
    /// single attributes.
    ///
    /// # Errors
    /// 901.
    pub fn property_call(&self, stream: StreamId) -> Cuda {
        match self.streams.get(&stream.key) {
            Some(enrolled) if self.is_invalidated(enrolled.capture) => Err(CUresult::STREAM_CAPTURE_INVALIDATED),
            _ => Ok(()),
        }
    }

    /// Before `cuEventElapsedTime` reads an event. M (H200, driver 580.159.04): 907 for a captured
    /// event, and the capture goes on; it is no unsafe call.
    ///
    /// # Errors
    /// 907; once the capture is invalidated or has ended `CUDA_ERROR_INVALID_VALUE`.
    pub fn elapsed_call(&self, event: EventId) -> Cuda {
        match self.events.get(&event) {
            Some(&Recorded::InCapture(id, _)) => Err(self.captured_event(id)),
            _ => Ok(()),
        }
    }

    /// What the host gets for an event that was last recorded in that capture: once the capture is
    /// invalidated or has ended such an event is of no use (M, H200, driver 580.159.04).
    fn captured_event(&self, id: CaptureId) -> CUresult {
        if self.is_invalidated(id) { CUresult::INVALID_VALUE } else { CUresult::CAPTURED_EVENT }
    }

    /// Before the host waits for, or queries, `target`.
    ///
    /// What necessarily conflicts with a capture fails in every mode, RELAXED too (D for
    /// cuEventQuery, M [HT hipStreamBeginCapture.cc:802-829]); anything else is an unsafe call (M
    /// [HT :1281-1460]).
    ///
    /// # Errors
    /// 900; 907, and the capture is invalidated, or what is said at `captured_event`.
    pub fn sync_call(&mut self, thread: ThreadId, target: SyncTarget) -> Cuda {
        match target {
            SyncTarget::Stream(stream) => self.conflicting_call(stream)?,
            SyncTarget::Event(event) => {
                if let Some(&Recorded::InCapture(id, _)) = self.events.get(&event) {
                    let code = self.captured_event(id);
                    self.invalidate(id);
                    return Err(code);
                }
            }
            // D (cuda.h L7069), M [HT :820]: all captures of the context, whoever began them.
            SyncTarget::Context(context) => {
                self.refuse(|capture| capture.streams.iter().any(|stream| stream.context == context))?;
            }
        }
        self.unsafe_call(thread)
    }

    /// Before an event is recorded for, or awaited by, all streams of a context or green context, by
    /// their keys: D (cuda.h, cuCtxRecordEvent), M (H200, driver 580.159.04), in every mode.
    ///
    /// # Errors
    /// 900, and every capture that one of them takes part in is invalidated.
    pub fn whole_context_call(&mut self, streams: &[u64]) -> Cuda {
        self.refuse(|capture| capture.streams.iter().any(|stream| streams.contains(&stream.key)))
    }

    /// Before a whole context waits for an event: D (cuda.h, cuCtxWaitEvent).
    ///
    /// # Errors
    /// 900 for an event of a capture in progress, which is invalidated; once it is or has ended as for
    /// any other wait, `CUDA_ERROR_INVALID_VALUE`.
    pub fn captured_event_call(&mut self, event: EventId) -> Cuda {
        let Some(&Recorded::InCapture(id, _)) = self.events.get(&event) else { return Ok(()) };
        if self.is_invalidated(id) {
            return Err(CUresult::INVALID_VALUE);
        }
        self.invalidate(id);
        Err(CUresult::STREAM_CAPTURE_UNSUPPORTED)
    }

    /// An event was recorded for work that is no part of a capture.
    pub fn recorded_eagerly(&mut self, event: EventId) {
        self.events.insert(event, Recorded::Eagerly);
    }

    /// The green context of a stream is destroyed: D (cuda.h, cuGreenCtxDestroy), its capture is
    /// invalidated.
    pub fn detached(&mut self, stream: u64) {
        if let Some(id) = self.streams.get(&stream).map(|enrolled| enrolled.capture) {
            self.invalidate(id);
        }
    }

    /// 900 if some captures are concerned, which are then invalidated.
    fn refuse(&mut self, concerned: impl Fn(&Capture) -> bool) -> Cuda {
        let victims: Vec<CaptureId> =
            self.captures.iter().filter(|(_, capture)| concerned(capture)).map(|(&id, _)| id).collect();
        if victims.is_empty() {
            return Ok(());
        }
        victims.into_iter().for_each(|id| self.invalidate(id));
        Err(CUresult::STREAM_CAPTURE_UNSUPPORTED)
    }
}
