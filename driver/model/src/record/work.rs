//! Device work that ran while calls were recorded.

use std::cell::RefCell;
use std::time::Instant;

use crate::work::NodeParams;

/// One piece of device work, as the software device executed it.
#[derive(Debug, Clone)]
pub struct Work {
    /// What it was: a kernel's name, `memcpy`, `memset`, `host function`, ….
    pub what: String,
    /// The engine's number of the stream that it ran on.
    pub stream: u64,
    /// Its node, for work of a graph: the index in the graph's order of creation.
    pub node: Option<u32>,
    /// Host time from the start of the recording, in nanoseconds.
    pub start_ns: u64,
    /// How long it took, in nanoseconds.
    pub duration_ns: u64,
    /// What is worth knowing about it, though it succeeded: a read past the end of its memory.
    pub note: Option<String>,
}

thread_local! {
    static NOTE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Adds to the work in progress on this thread.
pub(crate) fn note_work(text: impl FnOnce() -> String) {
    if super::is_on() {
        NOTE.with(|note| *note.borrow_mut() = Some(text()));
    }
}

/// Runs `body`, which executes `node` on `stream`, and keeps its time if a recording is on.
/// Waits and empty nodes are no work.
pub(crate) fn work<R>(node: &NodeParams, stream: u64, index: Option<u32>, body: impl FnOnce() -> R) -> R {
    if !super::is_on() {
        return body();
    }
    let what = match node {
        NodeParams::Kernel(work) => work.function.entry.name.clone(),
        NodeParams::Memcpy(_) => "memcpy".to_owned(),
        NodeParams::Memset(_) => "memset".to_owned(),
        NodeParams::Host(_) => "host function".to_owned(),
        NodeParams::MemAlloc { .. } => "memory allocation".to_owned(),
        NodeParams::MemFree { .. } => "memory free".to_owned(),
        NodeParams::BatchMemOp(_) => "batch memory operation".to_owned(),
        NodeParams::EventRecord(_) | NodeParams::EventWait(_) | NodeParams::Empty => return body(),
    };
    NOTE.with(|note| note.borrow_mut().take());
    let began = Instant::now();
    let result = body();
    let duration_ns = began.elapsed().as_nanos() as u64;
    super::keep_work(|started| Work {
        what,
        stream,
        node: index,
        start_ns: began.saturating_duration_since(started).as_nanos() as u64,
        duration_ns,
        note: NOTE.with(|note| note.borrow_mut().take()),
    });
    result
}
