//! A recorded call, and a recording.

use std::collections::VecDeque;
use std::sync::Arc;

use super::{Arguments, Stack, Work};
use crate::ThreadId;
use graphproof_api::CUresult;

/// `CUstreamCaptureStatus`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Capture {
    /// Not capturing, or no stream.
    #[default]
    None,
    /// Capturing.
    Active,
    /// Capturing, and doomed.
    Invalidated,
}

impl Capture {
    /// From the C value; unknown ones are `None`.
    pub fn from_raw(value: u32) -> Self {
        match value {
            1 => Self::Active,
            2 => Self::Invalidated,
            _ => Self::None,
        }
    }
}

/// One call through the C boundary.
#[derive(Debug, Clone)]
pub struct Call {
    /// Position in the recording, from 0; calls of several threads are in the order they ended.
    pub sequence: u64,
    /// The exported name, such as `cuMemAlloc_v2`.
    pub function: &'static str,
    /// The calling thread.
    pub thread: ThreadId,
    /// The stream argument, as given.
    pub stream: Option<u64>,
    /// Its arguments, and what it wrote through them.
    pub arguments: Arguments,
    /// Capture status of that stream before the call.
    pub capture_before: Capture,
    /// And after it.
    pub capture_after: Capture,
    /// What the caller got.
    pub result: CUresult,
    /// Host time from the start of the recording, in nanoseconds.
    pub start_ns: u64,
    /// Host time in the call, in nanoseconds.
    pub duration_ns: u64,
    /// Of that, time that the host was blocked waiting for the device, in nanoseconds; 0 for a
    /// call that does not wait.
    pub blocked_ns: u64,
    /// The answer was `CUDA_ERROR_NOT_SUPPORTED`.
    pub unsupported: bool,
    /// More about the result, such as the fault of a kernel.
    pub note: Option<String>,
    /// Who called, if asked for.
    pub backtrace: Option<Arc<Stack>>,
}

impl Call {
    /// An error: not success, and not the answer "not ready" of a query.
    pub fn failed(&self) -> bool {
        self.result != CUresult::SUCCESS && self.result != CUresult::NOT_READY
    }

    /// Whether the call waited for the device.
    pub fn blocked(&self) -> bool {
        self.blocked_ns > 0
    }
}

/// The calls of a recording, in order.
#[derive(Debug, Clone, Default)]
pub struct Recording {
    /// The calls kept.
    pub calls: VecDeque<Call>,
    /// Calls that found no room.
    pub dropped: u64,
    /// Device work that ended meanwhile, in the order of its end; as many pieces as there may be
    /// calls.
    pub work: Vec<Work>,
}

impl Recording {
    /// The first call that failed: during a capture, the cause of all that failed after it.
    pub fn first_failure(&self) -> Option<&Call> {
        self.calls.iter().find(|call| call.failed())
    }

    pub(super) fn push(&mut self, call: Call, capacity: usize, keep_newest: bool) {
        if self.calls.len() >= capacity {
            self.dropped += 1;
            if !keep_newest || self.calls.pop_front().is_none() {
                return;
            }
        }
        self.calls.push_back(call);
    }
}
