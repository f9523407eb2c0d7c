//! Runs that are watched byte by byte: one eager run and one replay now and then, where the driver can tell.

use super::{Captured, Lane};
use crate::checks::{outside, unordered};
use crate::finding::{Check, Finding, Id};
use crate::observed::{Mark, Race, Watch};
use crate::spans::Spans;

/// The first step whose runs are watched: everything is warm by then.
pub(super) const FIRST: u64 = 1;
/// And every so many steps. Kernels that are watched take several times as long.
const EVERY: u64 = 256;

/// What watched runs have shown so far.
#[derive(Debug, Default)]
pub(super) struct Watched {
    /// What the host's work before the first eager run wrote.
    before: Spans,
    /// Of the watched step.
    eager: outside::Eager,
    races: Vec<Race>,
}

/// Whether the runs of a step are watched.
pub(super) fn watches(step: u64) -> bool {
    step == FIRST || step > 0 && step.is_multiple_of(EVERY)
}

impl Lane {
    /// Watches the host's work before the first eager run: what it fills is there to stay.
    pub(super) fn watch_first_host_work(&self, step: u64) -> Option<Watch> {
        (step == 0).then(Watch::begin).flatten()
    }

    /// Begins to watch a run of `step`, if that step's are watched.
    pub(super) fn watch(&self, step: u64) -> Option<Watch> {
        watches(step).then(Watch::begin).flatten()
    }

    /// Keeps what the first host's work filled.
    pub(super) fn note_first_host_work(&mut self, watch: Option<Watch>) {
        if let Some(watch) = watch {
            self.watched.before = watch.end().written();
        }
    }

    /// Keeps what the host's work before a watched eager run, up to the mark, and the run itself did.
    pub(super) fn note_eager(&mut self, watch: Option<(Watch, Mark)>) {
        let Some((watch, mark)) = watch else { return };
        let seen = watch.end();
        let filled = seen.written_before(mark);
        self.watched.eager = outside::Eager {
            kept: self.watched.before.without(&filled),
            read: seen.read().without(&filled),
            written: seen.written_after(mark),
        };
        self.watched.races = seen.races();
    }

    /// The findings of a watched replay, and of the eager run before it.
    pub(super) fn judge_watched(&mut self, watch: Option<Watch>, graph: &Captured, step: u64) {
        let Some(watch) = watch else { return };
        let seen = watch.end();
        let exec = graph.exec.handle();
        let mut found = unordered::replay(&seen.races(), exec, &graph.topology, &self.replay, step);
        // What the graph shows too is told once.
        let mut eager = std::mem::take(&mut self.watched.races);
        eager.retain(|race| !found.iter().any(|known| unordered::is_same(known, race)));
        found.extend(unordered::eager(&eager, &self.eager, step));
        let sets = (&self.replay, &self.eager);
        found.extend(outside::check(&seen, exec, &self.watched.eager, &graph.topology, sets, step));
        // The eager run's are the same host functions.
        for unseen in seen.unseen() {
            let line = format!("order of work: {unseen}");
            if !self.report.not_checked.contains(&line) {
                self.report.not_checked.push(line);
            }
        }
        if seen.truncated() {
            self.report.not_checked.push(format!("order of work in step {step}: more was touched than is kept"));
        }
        self.keep_all(found);
    }
}

/// Says of results that differ that work without an order was found, where it was: it is the cause to look
/// at first.
pub(super) fn point_from_results(mut findings: Vec<Finding>) -> Vec<Finding> {
    let Some(cause) = findings.iter().find(|finding| finding.check == Check::OrderOfWork) else { return findings };
    let help = format!("see {} first: {}", cause.id, cause.seen);
    for finding in &mut findings {
        if matches!(finding.id, Id::R01 | Id::R02 | Id::R03 | Id::V07) {
            finding.help.clone_from(&help);
        }
    }
    findings
}
