//! Where the time of a run goes.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// A part of the gate's work on a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Allocation, modules, the initial state.
    Setup,
    /// The step fills its inputs on the host.
    Inputs,
    /// Inputs are copied to the device.
    Load,
    /// Eager runs: record and wait.
    Eager,
    /// The capture that is replayed, with its read-back and instantiation.
    Capture,
    /// Replays: launch and wait.
    Replay,
    /// Second eager runs, with all that belongs to them.
    Control,
    /// Captures on other inputs and buffers, and the comparison of graphs.
    SecondCaptures,
    /// The step with its stream held.
    StalledStream,
    /// The first inputs again.
    FirstAgain,
    /// The step on its dummy inputs.
    DummyInputs,
    /// Runs drawn on a line of time.
    Timelines,
    /// Replays in flight, and the eager runs that they are compared with.
    Pipelined,
    /// Outputs and scratch are filled with poison.
    Poison,
    /// Images, inputs and guards are compared, and digested.
    Comparison,
    /// Every address of the graph is looked up.
    Addresses,
    /// The step's host work between runs, and what is recorded of it.
    HostWork,
    /// Free memory is sampled.
    Growth,
    /// All else.
    Rest,
}

impl Part {
    /// All, in the order in which they are told.
    pub const ALL: [Part; 19] = [
        Part::Setup,
        Part::Inputs,
        Part::Load,
        Part::Eager,
        Part::Capture,
        Part::Replay,
        Part::Control,
        Part::SecondCaptures,
        Part::StalledStream,
        Part::FirstAgain,
        Part::DummyInputs,
        Part::Timelines,
        Part::Pipelined,
        Part::Poison,
        Part::Comparison,
        Part::Addresses,
        Part::HostWork,
        Part::Growth,
        Part::Rest,
    ];

    /// In words.
    pub const fn name(self) -> &'static str {
        match self {
            Part::Setup => "setup",
            Part::Inputs => "inputs made on the host",
            Part::Load => "inputs copied in",
            Part::Eager => "eager runs",
            Part::Capture => "capture",
            Part::Replay => "replays",
            Part::Control => "control runs",
            Part::SecondCaptures => "second captures",
            Part::StalledStream => "stalled stream",
            Part::FirstAgain => "first inputs again",
            Part::DummyInputs => "dummy inputs",
            Part::Timelines => "timelines",
            Part::Pipelined => "replays in flight",
            Part::Poison => "poison",
            Part::Comparison => "comparison, guards, digests",
            Part::Addresses => "addresses",
            Part::HostWork => "host work, recorded",
            Part::Growth => "growth samples",
            Part::Rest => "the rest",
        }
    }
}

/// Time by part. One part is current at any time; what passes belongs to it.
#[derive(Debug, Clone)]
pub struct Parts {
    spent: [Cell<Duration>; Part::ALL.len()],
    current: Cell<Part>,
    /// Set while all time belongs to one part, whatever is switched to.
    whole: Cell<bool>,
    since: Cell<Instant>,
}

impl Default for Parts {
    fn default() -> Self {
        Parts {
            spent: Default::default(),
            current: Cell::new(Part::Setup),
            whole: Cell::new(false),
            since: Cell::new(Instant::now()),
        }
    }
}

impl Parts {
    /// What passes from now on belongs to `part`.
    pub(crate) fn switch(&self, part: Part) {
        if !self.whole.get() {
            self.charge();
            self.current.set(part);
        }
    }

    /// All that passes until [`end_whole`](Self::end_whole) belongs to `part`.
    pub(crate) fn begin_whole(&self, part: Part) {
        self.switch(part);
        self.whole.set(true);
    }

    /// See [`begin_whole`](Self::begin_whole).
    pub(crate) fn end_whole(&self) {
        self.whole.set(false);
        self.switch(Part::Rest);
    }

    fn charge(&self) {
        let now = Instant::now();
        let spent = &self.spent[self.current.get() as usize];
        spent.set(spent.get() + now.duration_since(self.since.replace(now)));
    }

    /// Time spent in `part`.
    pub fn spent(&self, part: Part) -> Duration {
        self.spent[part as usize].get()
    }

    /// Time in all parts.
    pub fn total(&self) -> Duration {
        Part::ALL.into_iter().map(|part| self.spent(part)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_moment_belongs_to_one_part() {
        let started = Instant::now();
        let parts = Parts::default();
        parts.switch(Part::Eager);
        parts.begin_whole(Part::Control);
        parts.switch(Part::Poison);
        std::thread::yield_now();
        parts.end_whole();
        parts.switch(Part::Rest);
        assert_eq!(parts.spent(Part::Poison), Duration::ZERO);
        assert!(parts.spent(Part::Control) > Duration::ZERO);
        assert!(parts.total() <= started.elapsed());
    }

    #[test]
    fn parts_are_listed_in_their_order() {
        for (index, part) in Part::ALL.into_iter().enumerate() {
            assert_eq!(part as usize, index);
        }
    }
}
