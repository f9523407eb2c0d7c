//! Asynchronous execution: threads that take work from the streams.
//!
//! [`core::Core`] holds the order; this file holds the threads. A worker that runs a host
//! function or waits for an event may block for as long as it likes: it says so
//! ([`Engine::blocking`]) and another worker takes its place, so blocked work never holds up
//! other streams. Workers start when there is work and no idle one, and surplus ones end.

pub mod core;

use std::num::NonZero;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::{fmt, hint, thread};

use self::core::Core;

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
    blocked: usize,
    waiting: usize,
}

/// Keys of latches; stream keys are handles, whose top byte is small.
const LATCH: u64 = 0xff << 56;
/// How long a thread watches before it sleeps: about ten microseconds, the cost of waking one.
const SPINS: usize = 400;
/// Idle workers that are kept.
const KEEP_IDLE: usize = 4;

impl<W: Send + 'static> Engine<W> {
    /// An engine that runs at most `limit` pieces of work at once, not counting blocked ones.
    pub fn new(seed: u64, limit: NonZero<usize>, executor: impl Execute<W>) -> Self {
        let state = State { core: Core::new(seed), workers: 0, idle: 0, blocked: 0, waiting: 0 };
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

    /// Whether the work has run.
    pub fn is_done(&self, ticket: Ticket) -> bool {
        self.lock().core.is_done(ticket)
    }

    /// The last work of a stream, unless it has run.
    pub fn last(&self, stream: u64) -> Option<Ticket> {
        self.lock().core.last(stream)
    }

    /// Blocks until the work has run.
    pub fn wait(&self, ticket: Ticket) {
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
        while !state.core.is_done(ticket) {
            state = self.0.done.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.waiting -= 1;
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
        if state.idle > 0 {
            self.0.work.notify_one();
        }
        if ready > state.idle && state.workers - state.blocked < self.0.limit {
            self.start_worker(state);
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
            if state.idle >= KEEP_IDLE {
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

    /// Watches for work for a moment, then sleeps until there is some.
    fn rest<'a>(&'a self, mut state: MutexGuard<'a, State<W>>) -> MutexGuard<'a, State<W>> {
        self.0.ready.store(0, Ordering::Release);
        state.idle += 1;
        drop(state);
        for _ in 0..SPINS {
            if self.0.ready.load(Ordering::Acquire) != 0 {
                break;
            }
            hint::spin_loop();
        }
        let mut state = self.lock();
        while state.core.ready() == 0 {
            state = self.0.work.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.idle -= 1;
        state
    }
}

impl<W> fmt::Debug for Engine<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Engine")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::core::mix;
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
