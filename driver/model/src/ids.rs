//! Names of the model's objects, as the parts of the model tell them to each other.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

/// A context: its handle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContextId(pub u64);

/// An event: its handle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventId(pub u64);

/// A capture sequence; unique for the life of the process, never 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CaptureId(pub u64);

/// How a stream takes part in implicit synchronisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum StreamKind {
    /// The legacy default stream of a context.
    Legacy,
    /// The per-thread default stream: blocking, one for each thread and context.
    PerThread,
    /// Created with `CU_STREAM_DEFAULT`: synchronises with the legacy stream.
    Blocking,
    /// Created with `CU_STREAM_NON_BLOCKING`.
    NonBlocking,
}

/// A stream, resolved from a handle: the legacy and per-thread handles name one for each
/// context (and thread).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamId {
    /// Unique for the life of the process.
    pub key: u64,
    /// Its kind.
    pub kind: StreamKind,
    /// Its context.
    pub context: ContextId,
}

/// What a host synchronisation or query waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyncTarget {
    /// `cuStreamSynchronize`, `cuStreamQuery`.
    Stream(StreamId),
    /// `cuEventSynchronize`, `cuEventQuery`.
    Event(EventId),
    /// `cuCtxSynchronize`.
    Context(ContextId),
}

/// A host thread. Numbers are not reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ThreadId(pub u64);

impl ThreadId {
    /// The calling thread.
    pub fn current() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        thread_local! {
            static ID: u64 = NEXT.fetch_add(1, Ordering::Relaxed);
        }
        // A thread that is being torn down has lost its number; it can hold no capture.
        ThreadId(ID.try_with(|id| *id).unwrap_or(0))
    }

    /// Dead once the calling thread has ended.
    pub fn life() -> Weak<()> {
        thread_local! {
            static LIFE: Arc<()> = Arc::new(());
        }
        LIFE.try_with(Arc::downgrade).unwrap_or_default()
    }
}
