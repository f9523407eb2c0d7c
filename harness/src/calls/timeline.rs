//! A recorded stretch as a timeline.

use std::collections::HashMap;

use super::{Calls, record_thread};
use crate::report::{RunKind, Span, Timeline, Track};

impl Calls {
    /// The stretch as host calls and device work on one line of time.
    pub fn timeline(&self, run: RunKind, step: u64) -> Timeline {
        let mut threads = Numbers::default();
        // The step's own thread is 0, whoever calls first.
        threads.of(record_thread());
        let mut streams = Numbers::default();
        let calls = self.recording.calls.iter().map(|call| Span {
            track: Track::Host(threads.of(call.thread)),
            what: call.function.to_owned(),
            start_ns: call.start_ns,
            duration_ns: call.duration_ns,
            blocked_ns: call.blocked_ns,
            node: None,
        });
        let work = self.recording.work.iter().map(|work| Span {
            track: Track::Stream(streams.of(work.stream)),
            what: work.what.clone(),
            start_ns: work.start_ns,
            duration_ns: work.duration_ns,
            blocked_ns: 0,
            node: work.node,
        });
        let mut spans: Vec<Span> = calls.chain(work).collect();
        spans.sort_by_key(|span| (span.start_ns, span.track));
        Timeline { run, step, spans, dropped: self.recording.dropped }
    }
}

/// Numbers things as they appear.
struct Numbers<K>(HashMap<K, u64>);

impl<K> Default for Numbers<K> {
    fn default() -> Self {
        Numbers(HashMap::new())
    }
}

impl<K: std::hash::Hash + Eq> Numbers<K> {
    fn of(&mut self, key: K) -> u64 {
        let next = self.0.len() as u64;
        *self.0.entry(key).or_insert(next)
    }
}
