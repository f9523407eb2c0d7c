//! Asynchronous execution: threads that take work from the streams.
//!
//! `core::Core` holds the order; `worker` and `wait` hold the threads. A worker that runs a host
//! function or waits for an event may block for as long as it likes: it says so
//! ([`Engine::blocking`]) and another worker takes its place, so blocked work never holds up
//! other streams. Workers start when there is work and no idle one, and surplus ones end.
//!
//! A host thread that waits runs what it waits for itself ([`Engine::wait`]) when no worker has
//! taken it yet: waking another thread and being woken by it costs tens of microseconds. For the same
//! reason new work wakes nobody at once where a worker is the lookout, which looks for work by the clock: a host
//! that enqueues and then waits has all of it to itself, and one that does not wait is overlapped a moment later.

mod core;
#[cfg(all(test, loom))]
mod model;
pub mod order;
mod sync;
#[cfg(all(test, not(loom)))]
mod tests;
mod wait;
mod worker;

use std::fmt;
use std::num::NonZero;
use std::sync::{Arc, PoisonError};

use self::core::Core;
use self::sync::{AtomicU64, AtomicUsize, Condvar, Mutex, MutexGuard, Ordering};

/// A piece of work put on a stream: complete when it and all before it on the stream have run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ticket {
    /// The stream's key.
    pub stream: u64,
    /// 1 for the first work of the stream.
    pub sequence: u64,
}

/// Executes one piece of work.
pub trait Execute<W>: Send + Sync + 'static {
    /// Runs `work`; no lock of the engine is held.
    fn execute(&self, engine: &Engine<W>, ticket: Ticket, work: W);

    /// Whether a thread that waits for `work` may run it itself: it neither calls
    /// [`Engine::blocking`] nor cares which thread it is on.
    fn may_run_anywhere(&self, work: &W) -> bool {
        let _ = work;
        false
    }
}

/// The engine. Cloning gives another handle to the same one.
pub struct Engine<W>(Arc<Shared<W>>);

impl<W> Clone for Engine<W> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

struct Shared<W> {
    state: Mutex<State<W>>,
    work: Condvar,
    done: Condvar,
    /// Streams with work that may run: what an idle worker watches before it sleeps.
    ready: AtomicUsize,
    /// Pieces of work completed: what a waiting host thread watches before it sleeps.
    completed: AtomicU64,
    latches: AtomicU64,
    seed: AtomicU64,
    limit: usize,
    executor: Box<dyn Execute<W>>,
}

struct State<W> {
    core: Core<W>,
    workers: usize,
    idle: usize,
    /// Idle workers that only a notification wakes; the others still watch `Shared::ready`.
    asleep: usize,
    /// One idle worker sleeps for moments only, and looks for work in between.
    lookout: bool,
    stopped: bool,
    blocked: usize,
    waiting: usize,
}

/// Keys of latches; stream keys are handles, whose top byte is small.
const LATCH: u64 = 0xff << 56;
/// How long a thread watches before it sleeps: about ten microseconds, the cost of waking one.
const SPINS: usize = if cfg!(loom) { 0 } else { 400 };

impl<W: Send + 'static> Engine<W> {
    /// An engine that runs at most `limit` pieces of work at once, not counting blocked ones.
    pub fn new(seed: u64, limit: NonZero<usize>, executor: impl Execute<W>) -> Self {
        let state = State {
            core: Core::new(seed),
            workers: 0,
            idle: 0,
            asleep: 0,
            lookout: false,
            stopped: false,
            blocked: 0,
            waiting: 0,
        };
        Self(Arc::new(Shared {
            state: Mutex::new(state),
            work: Condvar::new(),
            done: Condvar::new(),
            ready: AtomicUsize::new(0),
            completed: AtomicU64::new(0),
            latches: AtomicU64::new(LATCH),
            seed: AtomicU64::new(seed),
            limit: limit.get(),
            executor: Box::new(executor),
        }))
    }

    /// Restarts the seeded choices.
    pub fn set_seed(&self, seed: u64) {
        self.0.seed.store(seed, Ordering::Relaxed);
        self.lock().core.set_seed(seed);
    }

    /// What the choices started from.
    pub fn seed(&self) -> u64 {
        self.0.seed.load(Ordering::Relaxed)
    }

    /// The next number of the seeded sequence.
    pub fn draw(&self) -> u64 {
        self.lock().core.draw()
    }

    /// Adds a stream.
    pub fn open(&self, stream: u64) {
        self.lock().core.open(stream);
    }

    /// Removes a stream once it is drained.
    pub fn close(&self, stream: u64) {
        self.lock().core.close(stream);
    }

    /// Puts work on a stream behind all of its earlier work, behind `after`, and behind the last
    /// work of the streams in `behind`.
    pub fn submit(&self, stream: u64, work: W, mut after: Vec<Ticket>, behind: &[u64]) -> Ticket {
        let mut state = self.lock();
        after.extend(behind.iter().filter_map(|&other| state.core.last(other)));
        let ticket = state.core.submit(stream, work, after);
        self.dispatch(&mut state);
        ticket
    }

    /// A ticket that [`Engine::signal`] completes.
    pub fn latch(&self) -> Ticket {
        let key = self.0.latches.fetch_add(1, Ordering::Relaxed);
        self.lock().core.open_latch(key)
    }

    /// Completes a latch.
    pub fn signal(&self, latch: Ticket) {
        let mut state = self.lock();
        state.core.signal(latch);
        self.announce(&mut state);
    }

    /// Whether the work has run; asking hurries nobody.
    pub fn is_done(&self, ticket: Ticket) -> bool {
        self.lock().core.is_done(ticket)
    }

    /// As [`Engine::is_done`]. Who asks waits for it, by asking again.
    pub fn poll(&self, ticket: Ticket) -> bool {
        let mut state = self.lock();
        let done = state.core.is_done(ticket);
        if !done {
            self.call_lookout(&mut state);
        }
        done
    }

    /// The last work of a stream, unless it has run. For who then waits for it: asking hurries nobody, since a thread
    /// that waits runs what it waits for itself where nobody else has taken it.
    pub fn last(&self, stream: u64) -> Option<Ticket> {
        self.lock().core.last(stream)
    }

    /// Whether a stream has work left. Who asks waits for it, by asking again.
    pub fn has_work(&self, stream: u64) -> bool {
        self.last(stream).is_some_and(|last| !self.poll(last))
    }

    /// Takes the piece of work behind that of `stream` which the calling thread runs, as `Core::take_behind` says.
    pub fn take_behind(&self, stream: u64, fits: impl FnOnce(&W) -> bool) -> Option<(Ticket, W)> {
        self.lock().core.take_behind(stream, fits)
    }

    /// The first of the pieces of work of `stream` that the calling thread runs has run.
    pub fn complete_first(&self, stream: u64) {
        let mut state = self.lock();
        state.core.complete_first(stream);
        self.announce(&mut state);
    }

    /// Whether all work of a stream has run; asking hurries nobody.
    pub fn is_drained(&self, stream: u64) -> bool {
        self.last(stream).is_none()
    }

    /// Lets the workers end when nothing is left to run.
    pub fn stop(&self) {
        self.lock().stopped = true;
        self.0.work.notify_all();
    }

    /// Runs `body`, which may block, on a worker: another worker takes this one's place meanwhile.
    pub fn blocking<R>(&self, body: impl FnOnce() -> R) -> R {
        let mut state = self.lock();
        state.blocked += 1;
        self.dispatch(&mut state);
        drop(state);
        let result = body();
        self.lock().blocked -= 1;
        result
    }

    /// Pieces of work submitted and not completed.
    pub fn pending(&self) -> usize {
        self.lock().core.pending()
    }

    fn lock(&self) -> MutexGuard<'_, State<W>> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<W> fmt::Debug for Engine<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Engine")
    }
}
