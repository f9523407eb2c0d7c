//! The order of work: streams are queues, and an entry may wait for entries of other queues.
//!
//! A pure state machine: no thread, no lock, no clock. Where several streams have work that may
//! run, the seed chooses.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};

use super::Ticket;
use super::order::{self, mix};

/// Stream keys are unique numbers already; mixing their bits is enough.
#[derive(Default)]
pub struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(u64::from(byte));
        }
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = mix(self.0 ^ value);
    }
}

type Keyed<T> = HashMap<u64, T, BuildHasherDefault<KeyHasher>>;

/// The queues.
#[derive(Debug)]
pub struct Core<W> {
    queues: Keyed<Queue<W>>,
    ready: Vec<u64>,
    pending: usize,
    seed: u64,
    draws: u64,
}

#[derive(Debug)]
struct Queue<W> {
    entries: VecDeque<Entry<W>>,
    /// The head is in `ready` or executing.
    dispatched: bool,
    submitted: u64,
    /// That have been taken; what [`Core::take_behind`] took is not completed before those ahead of it.
    taken: u64,
    completed: u64,
    /// Up to which one whoever runs the head may take.
    most: u64,
    /// Queues whose head waits for this one.
    waiters: Vec<u64>,
    /// Its handle is destroyed: it goes when it is drained.
    orphaned: bool,
}

#[derive(Debug)]
struct Entry<W> {
    work: W,
    after: Vec<Ticket>,
}

impl<W> Default for Queue<W> {
    fn default() -> Self {
        Self {
            entries: VecDeque::new(),
            dispatched: false,
            submitted: 0,
            taken: 0,
            completed: 0,
            most: u64::MAX,
            waiters: Vec::new(),
            orphaned: false,
        }
    }
}

impl<W> Core<W> {
    /// No streams yet.
    pub fn new(seed: u64) -> Self {
        Self { queues: Keyed::default(), ready: Vec::new(), pending: 0, seed, draws: 0 }
    }

    /// Restarts the choices from `seed`.
    pub fn set_seed(&mut self, seed: u64) {
        self.seed = seed;
        self.draws = 0;
    }

    /// The next number of the seeded sequence.
    pub fn draw(&mut self) -> u64 {
        Self::number(self.seed, &mut self.draws)
    }

    fn number(seed: u64, draws: &mut u64) -> u64 {
        *draws += 1;
        mix(seed.wrapping_add(draws.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
    }

    /// Adds a stream.
    pub fn open(&mut self, stream: u64) {
        self.queues.entry(stream).or_default();
    }

    /// Removes a stream once it is drained.
    pub fn close(&mut self, stream: u64) {
        if let Some(queue) = self.queues.get_mut(&stream) {
            queue.orphaned = true;
            if queue.submitted == queue.completed {
                self.queues.remove(&stream);
            }
        }
    }

    /// Puts work behind all earlier work of its stream, and behind `after`.
    pub fn submit(&mut self, stream: u64, work: W, mut after: Vec<Ticket>) -> Ticket {
        after.retain(|ticket| ticket.stream != stream && !self.is_done(*ticket));
        let queue = self.queues.entry(stream).or_default();
        queue.entries.push_back(Entry { work, after });
        queue.submitted += 1;
        self.pending += 1;
        let ticket = Ticket { stream, sequence: queue.submitted };
        if queue.entries.len() == 1 && !queue.dispatched {
            self.consider(stream);
        }
        ticket
    }

    /// A ticket of its own that [`Core::signal`] completes.
    pub fn open_latch(&mut self, key: u64) -> Ticket {
        let queue = self.queues.entry(key).or_default();
        queue.submitted = 1;
        queue.orphaned = true;
        Ticket { stream: key, sequence: 1 }
    }

    /// Completes a latch.
    pub fn signal(&mut self, latch: Ticket) {
        if let Some(queue) = self.queues.remove(&latch.stream) {
            for waiter in queue.waiters {
                self.consider(waiter);
            }
        }
    }

    /// Takes a piece of work that may run now. Call [`Core::complete`] when it has run.
    pub fn take(&mut self) -> Option<(Ticket, W)> {
        let stream = order::take(&mut self.ready, self.seed, || Self::number(self.seed, &mut self.draws))?;
        let queue = self.queues.get_mut(&stream)?;
        let entry = queue.entries.pop_front()?;
        (queue.taken, queue.most) = (queue.completed + 1, u64::MAX);
        Some((Ticket { stream, sequence: queue.taken }, entry.work))
    }

    /// As [`Core::take`], if the one piece of work that may run belongs to `ticket`'s stream, is
    /// not behind `ticket`, and `fits`. With more to choose from the choice is the seed's.
    pub fn take_for(&mut self, ticket: Ticket, fits: impl FnOnce(&W) -> bool) -> Option<(Ticket, W)> {
        if self.ready != [ticket.stream] {
            return None;
        }
        let queue = self.queues.get(&ticket.stream)?;
        if queue.completed >= ticket.sequence || !fits(&queue.entries.front()?.work) {
            return None;
        }
        let taken = self.take()?;
        // Nor may it take what is behind `ticket` later.
        self.queues.get_mut(&ticket.stream)?.most = ticket.sequence;
        Some(taken)
    }

    /// Takes the piece of work behind the one of the stream that was taken last and has not been completed, if that
    /// has been submitted, waits for nothing else and `fits`. Then [`Core::complete_first`] completes the one ahead.
    pub fn take_behind(&mut self, stream: u64, fits: impl FnOnce(&W) -> bool) -> Option<(Ticket, W)> {
        let queue = self.queues.get(&stream)?;
        let entry = queue.entries.front()?;
        if queue.taken >= queue.most || !entry.after.iter().all(|&ticket| self.is_done(ticket)) || !fits(&entry.work) {
            return None;
        }
        let queue = self.queues.get_mut(&stream)?;
        queue.taken += 1;
        Some((Ticket { stream, sequence: queue.taken }, queue.entries.pop_front()?.work))
    }

    /// Of the pieces of work that were taken of this stream, the first has run; another is still running.
    pub fn complete_first(&mut self, stream: u64) {
        self.pending -= 1;
        let Some(queue) = self.queues.get_mut(&stream) else { return };
        queue.completed += 1;
        for waiter in std::mem::take(&mut queue.waiters) {
            self.consider(waiter);
        }
    }

    /// The work that `take` gave for this stream has run.
    pub fn complete(&mut self, stream: u64) {
        self.pending -= 1;
        let Some(queue) = self.queues.get_mut(&stream) else { return };
        queue.completed += 1;
        queue.dispatched = false;
        let waiters = std::mem::take(&mut queue.waiters);
        if queue.orphaned && queue.submitted == queue.completed {
            self.queues.remove(&stream);
        } else {
            self.consider(stream);
        }
        for waiter in waiters {
            self.consider(waiter);
        }
    }

    /// Whether the ticket's work has run. A stream that is gone has run all of its work.
    pub fn is_done(&self, ticket: Ticket) -> bool {
        self.queues.get(&ticket.stream).is_none_or(|queue| queue.completed >= ticket.sequence)
    }

    /// The last work put on a stream, unless it has run.
    pub fn last(&self, stream: u64) -> Option<Ticket> {
        let queue = self.queues.get(&stream)?;
        (queue.submitted > queue.completed).then_some(Ticket { stream, sequence: queue.submitted })
    }

    /// How many streams have work that may run now and that nobody has taken.
    pub fn ready(&self) -> usize {
        self.ready.len()
    }

    /// Pieces of work submitted and not completed.
    pub fn pending(&self) -> usize {
        self.pending
    }

    /// Makes the head of a stream ready, or registers it with the first thing that it waits for.
    fn consider(&mut self, stream: u64) {
        let Some(queue) = self.queues.get_mut(&stream) else { return };
        if queue.dispatched {
            return;
        }
        let Some(mut after) = queue.entries.front_mut().map(|entry| std::mem::take(&mut entry.after)) else { return };
        while let Some(&ticket) = after.last() {
            if self.is_done(ticket) {
                after.pop();
                continue;
            }
            if let Some(awaited) = self.queues.get_mut(&ticket.stream) {
                awaited.waiters.push(stream);
            }
            break;
        }
        let Some(queue) = self.queues.get_mut(&stream) else { return };
        if after.is_empty() {
            queue.dispatched = true;
            self.ready.push(stream);
        } else if let Some(entry) = queue.entries.front_mut() {
            entry.after = after;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(core: &mut Core<u32>) -> Vec<u32> {
        let mut order = Vec::new();
        while let Some((ticket, work)) = core.take() {
            order.push(work);
            core.complete(ticket.stream);
        }
        order
    }

    #[test]
    fn a_stream_is_first_in_first_out() {
        let mut core = Core::new(1);
        for work in 0..5 {
            core.submit(7, work, vec![]);
        }
        assert_eq!(drain(&mut core), [0, 1, 2, 3, 4]);
        assert_eq!(core.pending(), 0);
    }

    #[test]
    fn work_waits_for_what_it_names() {
        for seed in 0..50 {
            let mut core = Core::new(seed);
            let first = core.submit(1, 10, vec![]);
            core.submit(1, 11, vec![]);
            core.submit(2, 20, vec![first]);
            let order = drain(&mut core);
            let at = |work| order.iter().position(|&done| done == work).unwrap();
            assert!(at(10) < at(20));
        }
    }

    #[test]
    fn the_seed_chooses_and_repeats() {
        let order = |seed| {
            let mut core = Core::new(seed);
            for stream in 0..8 {
                core.submit(stream, stream as u32, vec![]);
            }
            drain(&mut core)
        };
        assert_eq!(order(3), order(3));
        assert!((0..20).any(|seed| order(seed) != order(3)));
    }

    #[test]
    fn a_closed_stream_drains_first_and_its_tickets_are_done() {
        let mut core = Core::new(0);
        let ticket = core.submit(1, 1, vec![]);
        core.close(1);
        assert!(!core.is_done(ticket));
        core.submit(2, 2, vec![ticket]);
        assert_eq!(drain(&mut core), [1, 2]);
        assert!(core.is_done(ticket));
    }

    #[test]
    fn a_waiting_thread_takes_only_what_it_waits_for() {
        let mut core = Core::new(0);
        let first = core.submit(1, 10, vec![]);
        core.submit(1, 11, vec![]);
        assert!(core.take_for(first, |_| false).is_none());
        assert_eq!(core.take_for(first, |&work| work == 10), Some((first, 10)));
        core.complete(1);
        // What is behind it is not its concern, nor is another stream's work.
        assert!(core.take_for(first, |_| true).is_none());
        let other = core.submit(2, 20, vec![]);
        assert!(core.take_for(other, |_| true).is_none());
    }

    #[test]
    fn what_is_behind_can_be_taken_while_the_one_ahead_runs() {
        let mut core = Core::new(0);
        let first = core.submit(1, 10, vec![]);
        let second = core.submit(1, 11, vec![]);
        core.submit(2, 20, vec![first]);
        core.submit(1, 12, vec![Ticket { stream: 2, sequence: 1 }]);
        assert_eq!(core.take(), Some((first, 10)));
        assert!(core.take_behind(1, |_| false).is_none() && core.take_behind(2, |_| true).is_none());
        assert_eq!(core.take_behind(1, |&work| work == 11), Some((second, 11)));
        // The third waits for another stream.
        assert!(core.take_behind(1, |_| true).is_none());
        assert!(core.take().is_none() && !core.is_done(first));
        core.complete_first(1);
        assert!(core.is_done(first) && !core.is_done(second));
        // Whoever waited for the first goes on; the stream itself only behind the second.
        assert_eq!(core.take().map(|(_, work)| work), Some(20));
        core.complete(2);
        assert!(core.take().is_none());
        core.complete(1);
        assert_eq!(drain(&mut core), [12]);
        assert_eq!(core.pending(), 0);
    }

    #[test]
    fn a_waiting_thread_does_not_take_what_is_behind_its_ticket() {
        let mut core = Core::new(0);
        let tickets = [10, 11, 12].map(|work| core.submit(1, work, vec![]));
        assert_eq!(core.take_for(tickets[1], |_| true), Some((tickets[0], 10)));
        assert_eq!(core.take_behind(1, |_| true), Some((tickets[1], 11)));
        assert!(core.take_behind(1, |_| true).is_none());
    }

    #[test]
    fn a_latch_holds_until_it_is_signalled() {
        let mut core = Core::new(0);
        let latch = core.open_latch(99);
        core.submit(1, 1, vec![latch]);
        assert!(core.take().is_none());
        core.signal(latch);
        assert_eq!(drain(&mut core), [1]);
    }

    proptest::proptest! {
        /// Whatever the dependencies on earlier work, everything runs, in an order that respects them.
        #[test]
        fn everything_runs_once_in_order(seed: u64, work in proptest::collection::vec((0u64..5, proptest::collection::vec(0usize..1000, 0..3)), 1..60)) {
            let mut core = Core::new(seed);
            let mut tickets: Vec<Ticket> = Vec::new();
            let mut edges = Vec::new();
            for (index, (stream, after)) in work.iter().enumerate() {
                let after: Vec<usize> = after.iter().filter(|_| index > 0).map(|a| a % index.max(1)).collect();
                edges.extend(after.iter().map(|&before| (before, index)));
                let deps = after.iter().map(|&before| tickets[before]).collect();
                tickets.push(core.submit(*stream, index as u32, deps));
            }
            let order = drain(&mut core);
            proptest::prop_assert_eq!(order.len(), work.len());
            let at = |work: usize| order.iter().position(|&done| done as usize == work).unwrap();
            for (before, after) in edges {
                proptest::prop_assert!(at(before) < at(after));
            }
        }
    }
}
