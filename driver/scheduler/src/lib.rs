//! Asynchronous execution: threads that take work from the streams.
//!
//! [`core::Core`] holds the order; this file holds the threads. A worker that runs a host
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

use std::fmt;
use std::num::NonZero;
use std::sync::{Arc, PoisonError};

use self::core::Core;
use self::sync::{AtomicU64, AtomicUsize, Condvar, Mutex, MutexGuard, Ordering, hint, thread};

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
/// How long the lookout sleeps at a time.
#[cfg(not(loom))]
const LOOK: std::time::Duration = std::time::Duration::from_millis(1);
/// How often it looks without finding anything new before it sleeps as the others do. None where a model check has
/// no clock.
const LOOKS: u32 = if cfg!(loom) { 0 } else { 20 };
/// Idle workers that are kept.
const KEEP_IDLE: usize = 4;

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

    /// Whether the work has run. Who asks waits for it.
    pub fn is_done(&self, ticket: Ticket) -> bool {
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
        let mut state = self.lock();
        let has = state.core.last(stream).is_some();
        if has {
            self.call_lookout(&mut state);
        }
        has
    }

    /// Takes the piece of work behind that of `stream` which the calling thread runs, as [`Core::take_behind`] says.
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

    /// Blocks until the work has run.
    ///
    /// Runs it, and what is before it on its stream, on the calling thread where nobody else has
    /// taken it and nothing else may run: so the seeded choices stay what they were, and the thread
    /// is held up by nothing that it would not have waited for.
    pub fn wait(&self, ticket: Ticket) {
        {
            let mut state = self.help(self.lock(), ticket);
            if state.core.is_done(ticket) {
                return;
            }
            self.call_lookout(&mut state);
        }
        let mut seen = u64::MAX;
        for _ in 0..SPINS {
            let completed = self.0.completed.load(Ordering::Acquire);
            if completed != seen {
                seen = completed;
                if self.is_done(ticket) {
                    return;
                }
            }
            hint::spin_loop();
        }
        let mut state = self.lock();
        state.waiting += 1;
        loop {
            state = self.help(state, ticket);
            if state.core.is_done(ticket) {
                break;
            }
            self.call_lookout(&mut state);
            state = self.0.done.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.waiting -= 1;
    }

    /// Runs what is before a ticket, and its own work, as far as [`Engine::wait`] says.
    fn help<'a>(&'a self, mut state: MutexGuard<'a, State<W>>, ticket: Ticket) -> MutexGuard<'a, State<W>> {
        // With one worker the order of all work is one sequence: a second thread would break it.
        if self.0.limit == 1 {
            return state;
        }
        let mut helped = false;
        while let Some((taken, work)) = state.core.take_for(ticket, |work| self.0.executor.may_run_anywhere(work)) {
            helped = true;
            self.0.ready.store(state.core.ready(), Ordering::Release);
            drop(state);
            self.0.executor.execute(self, taken, work);
            state = self.lock();
            state.core.complete(taken.stream);
            self.announce_own(&mut state);
        }
        if helped {
            self.dispatch(&mut state);
        }
        state
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

    /// Sees to it that ready work has a worker.
    fn dispatch(&self, state: &mut State<W>) {
        let ready = state.core.ready();
        self.0.ready.store(ready, Ordering::Release);
        if ready == 0 {
            return;
        }
        // A worker that watches looks once more, under the lock, before it sleeps.
        if state.asleep > 0 && ready > state.idle - state.asleep {
            self.0.work.notify_one();
        }
        if ready > state.idle && state.workers - state.blocked < self.0.limit {
            self.start_worker(state);
        }
    }

    /// As `dispatch`, where somebody waits: the lookout looks now.
    fn call_lookout(&self, state: &mut State<W>) {
        if state.lookout && state.core.ready() > state.idle - state.asleep - 1 {
            self.0.work.notify_one();
        }
    }

    fn start_worker(&self, state: &mut State<W>) {
        let engine = self.clone();
        let name = format!("graphproof-stream-{}", state.workers);
        // Without a thread now, a running worker takes the work when it is done with its own; only
        // with no worker at all must the caller's thread try again later.
        if thread::Builder::new().name(name).spawn(move || engine.work()).is_ok() {
            state.workers += 1;
        }
    }

    fn announce(&self, state: &mut State<W>) {
        self.0.completed.fetch_add(1, Ordering::Release);
        if state.waiting > 0 {
            self.0.done.notify_all();
        }
        self.dispatch(state);
    }

    fn work(&self) {
        let mut state = self.lock();
        loop {
            // A worker that was blocked may come back to find its place taken.
            if state.workers - state.blocked > self.0.limit {
                break;
            }
            if let Some((ticket, work)) = state.core.take() {
                self.dispatch(&mut state);
                drop(state);
                self.0.executor.execute(self, ticket, work);
                state = self.lock();
                state.core.complete(ticket.stream);
                self.announce_own(&mut state);
                continue;
            }
            if state.idle >= KEEP_IDLE || state.stopped {
                break;
            }
            state = self.rest(state);
        }
        state.workers -= 1;
        self.dispatch(&mut state);
    }

    /// As `announce`, by a worker that will itself take one of the ready streams.
    fn announce_own(&self, state: &mut State<W>) {
        self.0.completed.fetch_add(1, Ordering::Release);
        if state.waiting > 0 {
            self.0.done.notify_all();
        }
        if state.core.ready() > 1 {
            self.dispatch(state);
        }
    }

    /// Watches for work for a moment, or by the clock for longer if nobody does, then sleeps until there is some.
    fn rest<'a>(&'a self, mut state: MutexGuard<'a, State<W>>) -> MutexGuard<'a, State<W>> {
        self.0.ready.store(0, Ordering::Release);
        state.idle += 1;
        if LOOKS > 0 && !state.lookout {
            state = self.look(state);
        } else {
            drop(state);
            for _ in 0..SPINS {
                if self.0.ready.load(Ordering::Acquire) != 0 {
                    break;
                }
                hint::spin_loop();
            }
            state = self.lock();
        }
        while state.core.ready() == 0 && !state.stopped {
            state.asleep += 1;
            state = self.0.work.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.asleep -= 1;
        }
        state.idle -= 1;
        state
    }
}

#[cfg(not(loom))]
impl<W: Send + 'static> Engine<W> {
    /// Is the lookout until there is work, or has not been any for long.
    fn look<'a>(&'a self, mut state: MutexGuard<'a, State<W>>) -> MutexGuard<'a, State<W>> {
        state.lookout = true;
        let (mut left, mut seen) = (LOOKS, self.0.completed.load(Ordering::Relaxed));
        while state.core.ready() == 0 && !state.stopped && left > 0 {
            let slept = self.0.work.wait_timeout(state, LOOK);
            state = slept.unwrap_or_else(PoisonError::into_inner).0;
            let now = self.0.completed.load(Ordering::Relaxed);
            left = if now == seen { left - 1 } else { LOOKS };
            seen = now;
        }
        state.lookout = false;
        state
    }
}

#[cfg(loom)]
impl<W: Send + 'static> Engine<W> {
    fn look<'a>(&'a self, state: MutexGuard<'a, State<W>>) -> MutexGuard<'a, State<W>> {
        state
    }
}

impl<W> fmt::Debug for Engine<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Engine")
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::sync::Mutex;

    use super::order::mix;
    use super::*;

    type Log = Arc<Mutex<Vec<u64>>>;

    struct Work {
        number: u64,
        block: bool,
    }

    struct Recorder(Log);

    impl Execute<Work> for Recorder {
        fn execute(&self, engine: &Engine<Work>, _: Ticket, work: Work) {
            if work.block {
                engine.blocking(thread::yield_now);
            }
            self.0.lock().unwrap().push(work.number);
        }

        fn may_run_anywhere(&self, work: &Work) -> bool {
            !work.block
        }
    }

    fn engine(workers: usize) -> (Engine<Work>, Log) {
        let log = Log::default();
        (Engine::new(1, NonZero::new(workers).unwrap(), Recorder(log.clone())), log)
    }

    #[test]
    fn a_latch_releases_those_who_wait() {
        let (engine, log) = engine(2);
        let latch = engine.latch();
        let ticket = engine.submit(1, Work { number: 7, block: false }, vec![latch], &[]);
        assert!(!engine.is_done(ticket));
        engine.signal(latch);
        engine.wait(ticket);
        assert_eq!(*log.lock().unwrap(), [7]);
    }

    /// Several threads put work with random dependencies on random streams: all of it runs, each
    /// after what it waits for, and nobody waits for ever.
    #[test]
    fn random_work_from_many_threads_all_runs_in_order() {
        for workers in [1, 3] {
            let (engine, log) = engine(workers);
            let all: Mutex<Vec<(u64, Ticket)>> = Mutex::default();
            let edges: Mutex<Vec<(u64, u64)>> = Mutex::default();
            thread::scope(|scope| {
                for submitter in 0..4u64 {
                    let (engine, all, edges) = (&engine, &all, &edges);
                    scope.spawn(move || {
                        for step in 0..500 {
                            let number = submitter << 32 | step;
                            let random = mix(number + 1);
                            // Submitting under the lock keeps a stream's order that of the list.
                            let mut all = all.lock().unwrap();
                            let earlier = match all.len() {
                                0 => None,
                                count => Some(all[random as usize % count]),
                            };
                            let after = earlier.iter().map(|&(before, ticket)| {
                                edges.lock().unwrap().push((before, number));
                                ticket
                            });
                            let work = Work { number, block: random >> 20 & 7 == 0 };
                            let ticket = engine.submit(random >> 40 & 7, work, after.collect(), &[random >> 50 & 7]);
                            all.push((number, ticket));
                            drop(all);
                            if random >> 30 & 15 == 0 {
                                engine.wait(ticket);
                            }
                        }
                    });
                }
            });
            for &(_, ticket) in all.lock().unwrap().iter() {
                engine.wait(ticket);
            }
            let log = log.lock().unwrap();
            let place: std::collections::HashMap<u64, usize> =
                log.iter().enumerate().map(|(place, &number)| (number, place)).collect();
            assert_eq!((log.len(), place.len()), (2000, 2000));
            assert!(edges.lock().unwrap().iter().all(|(before, after)| place[before] < place[after]));
        }
    }
}
