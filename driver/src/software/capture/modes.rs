//! Potentially unsafe calls, calls that necessarily conflict, and the mode of a thread.

use super::unknowns;
use super::world::{Capture, CaptureMode, CaptureWorld, Recorded};
use crate::abi::{CUresult, Cuda};
use crate::software::{CaptureId, StreamId, StreamKind, SyncTarget, ThreadId};

impl CaptureWorld {
    /// `cuThreadExchangeStreamCaptureMode`: returns the previous mode.
    pub fn exchange_mode(&mut self, thread: ThreadId, mode: CaptureMode) -> CaptureMode {
        let previous = match mode {
            CaptureMode::Global => self.threads.remove(&thread),
            mode => self.threads.insert(thread, mode),
        };
        previous.unwrap_or_default()
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
        let mode = self.threads.get(&thread).copied().unwrap_or_default();
        let forbids = |capture: &Capture| match (mode, capture.thread == thread) {
            (CaptureMode::Relaxed, _) => false,
            (_, true) => capture.mode != CaptureMode::Relaxed,
            (CaptureMode::Global, false) => capture.mode == CaptureMode::Global,
            (CaptureMode::ThreadLocal, false) => false,
        };
        let ongoing = |capture: &Capture| !capture.invalidated || unknowns::INVALIDATED_STILL_FORBIDS;
        self.refuse(|capture| ongoing(capture) && forbids(capture))
    }

    /// Before a synchronous copy or fill by `thread`, which uses the context's legacy stream.
    ///
    /// # Errors
    /// 906 beside a capture of a blocking stream, in every mode (M, D [PG]); else as an unsafe call
    /// (a guess, see [`unknowns::SYNC_COPY_IS_UNSAFE`]).
    pub fn classify_synchronous(&mut self, thread: ThreadId, legacy: StreamId) -> Cuda {
        if unknowns::LEGACY_BEFORE_UNSAFE {
            self.refuse_legacy(legacy.context)?;
        }
        if unknowns::SYNC_COPY_IS_UNSAFE {
            self.unsafe_call(thread)?;
        }
        if unknowns::LEGACY_BEFORE_UNSAFE { Ok(()) } else { self.refuse_legacy(legacy.context) }
    }

    /// [`CaptureWorld::classify_synchronous`] for the calling thread.
    pub fn classify_legacy(&mut self, legacy: StreamId) -> Cuda {
        self.classify_synchronous(ThreadId::current(), legacy)
    }

    /// Before the host waits for, or queries, `target`.
    ///
    /// What necessarily conflicts with a capture fails in every mode, RELAXED too (D for
    /// cuEventQuery, M [HT hipStreamBeginCapture.cc:802-829]); anything else is an unsafe call (M
    /// [HT :1281-1460]).
    ///
    /// # Errors
    /// 900, 901, 906, 907.
    pub fn sync_call(&mut self, thread: ThreadId, target: SyncTarget) -> Cuda {
        match target {
            SyncTarget::Stream(stream) => {
                if let Some(id) = self.streams.get(&stream.key).map(|enrolled| enrolled.capture) {
                    if self.is_invalidated(id) {
                        return Err(unknowns::SYNC_INVALIDATED);
                    }
                    self.invalidate(id);
                    return Err(CUresult::STREAM_CAPTURE_UNSUPPORTED);
                }
                if stream.kind == StreamKind::Legacy {
                    self.refuse_legacy(stream.context).map_err(|_| unknowns::SYNC_LEGACY)?;
                }
            }
            SyncTarget::Event(event) => {
                if let Some(&Recorded::InCapture(id, _)) = self.events.get(&event)
                    && (unknowns::EVENT_STAYS_CAPTURED || self.captures.contains_key(&id))
                {
                    self.invalidate(id);
                    return Err(CUresult::CAPTURED_EVENT);
                }
            }
            // D (cuda.h L7069), M [HT :820]: all captures of the context, whoever began them.
            SyncTarget::Context(context) => {
                self.refuse(|capture| capture.streams.iter().any(|stream| stream.context == context))?;
            }
        }
        self.unsafe_call(thread)
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
