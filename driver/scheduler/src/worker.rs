//! Workers: they take work, look out for it, rest and end.

use std::sync::PoisonError;

use super::sync::{MutexGuard, Ordering, hint, thread};
use super::{Engine, SPINS, State};

/// How long the lookout sleeps at a time.
#[cfg(not(loom))]
const LOOK: std::time::Duration = std::time::Duration::from_millis(1);
/// How often it looks without finding anything new before it sleeps as the others do. None where a model check has
/// no clock.
const LOOKS: u32 = if cfg!(loom) { 0 } else { 20 };
/// Idle workers that are kept.
const KEEP_IDLE: usize = 4;

impl<W: Send + 'static> Engine<W> {
    /// Sees to it that ready work has a worker.
    pub(super) fn dispatch(&self, state: &mut State<W>) {
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
    pub(super) fn call_lookout(&self, state: &mut State<W>) {
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

    pub(super) fn announce(&self, state: &mut State<W>) {
        self.0.completed.fetch_add(1, Ordering::Release);
        if state.waiting > 0 {
            self.0.done.notify_all();
        }
        self.dispatch(state);
    }

    /// As `announce`, by a worker that will itself take one of the ready streams.
    pub(super) fn announce_own(&self, state: &mut State<W>) {
        self.0.completed.fetch_add(1, Ordering::Release);
        if state.waiting > 0 {
            self.0.done.notify_all();
        }
        if state.core.ready() > 1 {
            self.dispatch(state);
        }
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
