//! How a step is run and captured: on which kind of stream, and in which mode.

use std::fmt;
use std::str::FromStr;

/// The stream that a step runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StreamKind {
    /// A stream of its own that waits for the legacy stream (`CU_STREAM_DEFAULT`): work on the legacy
    /// stream beside a capture is an error then.
    #[default]
    Blocking,
    /// A stream of its own that does not (`CU_STREAM_NON_BLOCKING`), as PyTorch's side streams are.
    NonBlocking,
    /// The calling thread's default stream (`CU_STREAM_PER_THREAD`).
    PerThread,
    /// The legacy default stream (`CU_STREAM_LEGACY`). It cannot be captured: the capture is made on a
    /// blocking stream of its own, and the graph is launched on the legacy one.
    Legacy,
}

/// Which calls are errors while a step is captured (`CUstreamCaptureMode`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CaptureMode {
    /// Unsafe calls of any thread.
    #[default]
    Global,
    /// Unsafe calls of the capturing thread.
    ThreadLocal,
    /// None for being unsafe.
    Relaxed,
}

impl StreamKind {
    /// All, the default first.
    pub const ALL: [StreamKind; 4] =
        [StreamKind::Blocking, StreamKind::NonBlocking, StreamKind::PerThread, StreamKind::Legacy];

    /// As the command line has it.
    pub const fn name(self) -> &'static str {
        match self {
            StreamKind::Blocking => "blocking",
            StreamKind::NonBlocking => "nonblocking",
            StreamKind::PerThread => "per-thread",
            StreamKind::Legacy => "legacy",
        }
    }
}

impl CaptureMode {
    /// All, the default first.
    pub const ALL: [CaptureMode; 3] = [CaptureMode::Global, CaptureMode::ThreadLocal, CaptureMode::Relaxed];

    /// As the command line has it.
    pub const fn name(self) -> &'static str {
        match self {
            CaptureMode::Global => "global",
            CaptureMode::ThreadLocal => "thread-local",
            CaptureMode::Relaxed => "relaxed",
        }
    }
}

impl fmt::Display for StreamKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl fmt::Display for CaptureMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for StreamKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let names = || StreamKind::ALL.map(StreamKind::name).join(", ");
        StreamKind::ALL
            .into_iter()
            .find(|kind| kind.name() == text)
            .ok_or_else(|| format!("'{text}' is none of {}", names()))
    }
}

impl FromStr for CaptureMode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let names = || CaptureMode::ALL.map(CaptureMode::name).join(", ");
        CaptureMode::ALL
            .into_iter()
            .find(|mode| mode.name() == text)
            .ok_or_else(|| format!("'{text}' is none of {}", names()))
    }
}

/// What a report says of a run that was not made as by default: a receipt must not pass for another.
pub(crate) fn not_default(stream: StreamKind, mode: CaptureMode) -> Option<String> {
    (stream != StreamKind::default() || mode != CaptureMode::default()).then(|| {
        format!(
            "run on a {stream} stream and captured in {mode} mode: what a blocking stream and GLOBAL mode show beside \
             that was not looked for"
        )
    })
}
