//! Waiting for work, and running it meanwhile.

use std::sync::PoisonError;

use super::sync::{MutexGuard, Ordering, hint};
use super::{Engine, SPINS, State, Ticket};

impl<W: Send + 'static> Engine<W> {
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
}
