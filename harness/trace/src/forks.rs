//! Which streams of a capture were joined to its origin again: each knows how far it has seen the others.

use std::collections::HashMap;

use super::place::Caller;

/// How far each stream was seen.
type Seen = HashMap<u64, u64>;

/// The streams of one capture.
#[derive(Debug, Default)]
pub struct Forks {
    streams: HashMap<u64, Fork>,
    events: HashMap<u64, Seen>,
    pieces: u64,
}

#[derive(Debug, Default)]
struct Fork {
    /// The wait that made it part of the capture.
    enrolled: Option<Caller>,
    /// Its last piece of work, and who enqueued it.
    last: Option<(u64, Caller)>,
    seen: Seen,
    destroyed: Option<Caller>,
}

/// A stream that was not joined.
#[derive(Debug, Clone)]
pub struct Unjoined {
    pub stream: u64,
    pub enrolled: Option<Caller>,
    pub last: Caller,
    pub destroyed: Option<Caller>,
}

impl Forks {
    /// Work is captured on a stream.
    pub fn work(&mut self, stream: u64, caller: Caller) {
        self.pieces += 1;
        let piece = self.pieces;
        self.streams.entry(stream).or_default().last = Some((piece, caller));
    }

    /// An event is recorded on a stream.
    pub fn record(&mut self, event: u64, stream: u64) {
        let fork = self.streams.entry(stream).or_default();
        let mut seen = fork.seen.clone();
        seen.extend(fork.last.as_ref().map(|(piece, _)| (stream, *piece)));
        self.events.insert(event, seen);
    }

    /// A stream waits for an event; `enrolled` says who made it part of the capture, if this wait did.
    pub fn wait(&mut self, stream: u64, event: u64, enrolled: Option<Caller>) {
        let seen = self.events.get(&event).cloned().unwrap_or_default();
        let fork = self.streams.entry(stream).or_default();
        if enrolled.is_some() {
            fork.enrolled = enrolled;
        }
        for (other, piece) in seen {
            let known = fork.seen.entry(other).or_default();
            *known = piece.max(*known);
        }
    }

    /// A stream of the capture is destroyed.
    pub fn destroy(&mut self, stream: u64, caller: Caller) {
        self.streams.entry(stream).or_default().destroyed = Some(caller);
    }

    /// Streams that took part, the origin among them.
    pub fn count(&self) -> usize {
        self.streams.len().max(1)
    }

    /// The streams whose last work the origin has not seen.
    pub fn unjoined(&self, origin: u64) -> Vec<Unjoined> {
        let seen = |stream: &u64| self.streams.get(&origin).and_then(|fork| fork.seen.get(stream)).copied();
        let open = self.streams.iter().filter(|(stream, _)| **stream != origin).filter_map(|(&stream, fork)| {
            let (piece, last) = fork.last.clone()?;
            let joined = seen(&stream).is_some_and(|known| known >= piece);
            let (enrolled, destroyed) = (fork.enrolled.clone(), fork.destroyed.clone());
            (!joined).then_some((piece, Unjoined { stream, enrolled, last, destroyed }))
        });
        let mut open: Vec<_> = open.collect();
        open.sort_by_key(|(piece, _)| *piece);
        open.into_iter().map(|(_, unjoined)| unjoined).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(forks: &Forks) -> Vec<u64> {
        forks.unjoined(1).into_iter().map(|unjoined| unjoined.stream).collect()
    }

    #[test]
    fn a_fork_is_joined_by_a_wait_for_its_last_work_however_long_the_way() {
        let mut forks = Forks::default();
        forks.work(1, Caller::default());
        forks.record(10, 1);
        forks.wait(2, 10, Some(Caller::default()));
        forks.wait(3, 10, Some(Caller::default()));
        assert!(open(&forks).is_empty(), "a fork without work of its own need not be joined");
        forks.work(2, Caller::default());
        forks.work(3, Caller::default());
        forks.record(11, 2);
        forks.wait(3, 11, None);
        forks.record(12, 3);
        assert_eq!(open(&forks), [2, 3]);
        forks.wait(1, 12, None);
        assert!(open(&forks).is_empty(), "the join of 3 carries 2");
        forks.work(2, Caller::default());
        assert_eq!(open(&forks), [2], "work after the join is not joined");
    }
}
