//! The call record: what passed through the C boundary.
//!
//! Off by default, and then a call costs one relaxed load. On, each call leaves a [`Call`] in a
//! bounded buffer; calls beyond the bound are counted, not kept. Calls without a model are counted
//! always, so that a run can say what it relied on in vain.

mod arguments;
mod call;
mod notes;
mod outside;
mod stack;
mod unsupported;
mod work;

use std::cell::Cell;
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

pub use arguments::{Arguments, Value};
pub use call::{Call, Capture, Recording};
pub use notes::{Reason, has_note, keep_notes, last_reason, note, take_notes, tell};
pub use outside::{Outside, hear};
pub use stack::{Stack, Teller, asked, tell_stacks};
pub use unsupported::{Unsupported, note_unsupported, take_unsupported, unsupported_calls};
pub use work::Work;

pub(crate) use notes::NoteBook;
pub(crate) use stack::stack;
pub(crate) use unsupported::Counts;
pub(crate) use work::{note_work, work};

use crate::{StreamName, ThreadId, driver};
use graphproof_api::{CUresult, Cuda};

/// What to record.
#[derive(Debug, Clone)]
pub struct Options {
    /// Calls kept; later ones are counted only.
    pub capacity: usize,
    /// Keep the newest calls instead of the first ones when there are more than `capacity`.
    pub keep_newest: bool,
    /// Functions whose caller's backtrace is taken (resolved only when it is shown).
    pub backtraces: fn(&str) -> bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { capacity: 1 << 16, keep_newest: false, backtraces: |_| false }
    }
}

/// The recording of a driver's calls.
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    on: AtomicBool,
    progress: Mutex<Option<Progress>>,
}

impl Recorder {
    /// Throws a recording in progress away.
    pub(crate) fn end(&self) {
        self.on.store(false, Ordering::Release);
        self.progress.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

/// A recording in progress.
#[derive(Debug)]
struct Progress {
    options: Options,
    started: Instant,
    recording: Recording,
    sequence: u64,
}

thread_local! {
    static BLOCKED_NS: Cell<u64> = const { Cell::new(0) };
}

fn recorder() -> MutexGuard<'static, Option<Progress>> {
    driver().recording.progress.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts a recording; one in progress is thrown away.
pub fn start(options: Options) {
    let recording = Recording::default();
    *recorder() = Some(Progress { options, started: Instant::now(), recording, sequence: 0 });
    driver().recording.on.store(true, Ordering::Release);
}

/// Ends the recording and hands it over; empty if none was in progress.
pub fn stop() -> Recording {
    driver().recording.on.store(false, Ordering::Release);
    recorder().take().map(|recorder| recorder.recording).unwrap_or_default()
}

/// Whether calls are being recorded.
pub fn is_on() -> bool {
    switch().load(Ordering::Relaxed)
}

/// The flag that [`is_on`] reads: for who tells of another driver's calls by [`hear`].
pub fn switch() -> &'static AtomicBool {
    &driver().recording.on
}

/// The number that the next recorded call will have: a mark between calls.
pub fn position() -> u64 {
    recorder().as_ref().map_or(0, |recorder| recorder.sequence)
}

/// Runs `wait`, which blocks the host inside the call in progress. What kernels have printed until then
/// appears.
pub fn blocked<R>(wait: impl FnOnce() -> R) -> R {
    if !is_on() {
        let result = wait();
        print_output();
        return result;
    }
    let began = Instant::now();
    let result = wait();
    let nanoseconds = began.elapsed().as_nanos() as u64;
    BLOCKED_NS.with(|blocked| blocked.set(blocked.get() + nanoseconds.max(1)));
    print_output();
    result
}

/// Writes what kernels have printed to standard output. A call that would wait calls it where there is
/// nothing to wait for, too.
pub(crate) fn print_output() {
    let text = graphproof_exec::take_output();
    if !text.is_empty() {
        // A closed standard output is no error of the call.
        let _ = std::io::stdout().lock().write_all(&text);
        let _ = std::io::stdout().flush();
    }
}

/// Keeps device work of the recording that is on; `make` gets the recording's start.
fn keep_work(make: impl FnOnce(Instant) -> Work) {
    let mut guard = recorder();
    let Some(recorder) = guard.as_mut() else { return };
    if recorder.recording.work.len() < recorder.options.capacity {
        let work = make(recorder.started);
        recorder.recording.work.push(work);
    }
}

/// Runs a call that is not recorded; only why it failed is kept.
pub fn unrecorded(name: &'static str, body: impl FnOnce() -> Cuda) -> CUresult {
    notes::begin();
    let result: CUresult = body().into();
    notes::end(name, result);
    result
}

/// Records a call around `body`.
pub fn call(name: &'static str, stream: Option<u64>, arguments: &[u64], body: impl FnOnce() -> Cuda) -> CUresult {
    BLOCKED_NS.with(|blocked| blocked.set(0));
    notes::begin();
    let before = capture_status(stream);
    let began = Instant::now();
    let result: CUresult = body().into();
    let duration_ns = began.elapsed().as_nanos() as u64;
    let after = capture_status(stream);
    let note = notes::end(name, result);
    let mut guard = recorder();
    let Some(recorder) = guard.as_mut() else { return result };
    let sequence = recorder.sequence;
    recorder.sequence += 1;
    let call = Call {
        sequence,
        function: name,
        thread: ThreadId::current(),
        stream,
        arguments: Arguments::of(name, arguments, result),
        capture_before: before,
        capture_after: after,
        result,
        start_ns: began.saturating_duration_since(recorder.started).as_nanos() as u64,
        duration_ns,
        blocked_ns: BLOCKED_NS.with(Cell::get),
        unsupported: result == CUresult::NOT_SUPPORTED,
        note,
        backtrace: (recorder.options.backtraces)(name).then(stack),
    };
    recorder.recording.push(call, recorder.options.capacity, recorder.options.keep_newest);
    result
}

fn capture_status(stream: Option<u64>) -> Capture {
    let Some(stream) = stream else { return Capture::None };
    let mut world = driver().world();
    let Ok(stream) = world.find_stream(StreamName::from_handle(stream)) else { return Capture::None };
    Capture::from_raw(world.capture.status(stream))
}
