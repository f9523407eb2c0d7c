//! Which changes a gate lets pass.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use super::time::percent;
use super::{Bits, Diff, LaneDiff, Topology, name};

/// A kind of change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Other results from the same inputs, or results that could not be compared.
    Bits,
    /// Other inputs, so that results could not be compared.
    Inputs,
    /// Another graph.
    Topology,
    /// More kernel launches in a replay.
    Launches,
    /// More device memory.
    Memory,
    /// New findings.
    Findings,
    /// Lanes that are gone or did not run.
    Lanes,
    /// Slower replays.
    Time,
}

impl Kind {
    /// Those that can be allowed; times have a limit of their own.
    pub const ALLOWABLE: [Kind; 7] =
        [Kind::Bits, Kind::Topology, Kind::Findings, Kind::Memory, Kind::Launches, Kind::Lanes, Kind::Inputs];

    /// Its name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Bits => "bits",
            Kind::Inputs => "inputs",
            Kind::Topology => "topology",
            Kind::Launches => "launches",
            Kind::Memory => "memory",
            Kind::Findings => "findings",
            Kind::Lanes => "lanes",
            Kind::Time => "time",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Kind::ALLOWABLE.map(Kind::name);
        let kind = Kind::ALLOWABLE.into_iter().find(|kind| kind.name() == text);
        kind.ok_or_else(|| format!("'{text}' is none of {}", known.join(", ")))
    }
}

/// What may change.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Policy {
    /// Kinds of change that pass.
    pub allowed: Vec<Kind>,
    /// Growth of memory that passes, in percent.
    pub max_memory_growth: f64,
    /// Growth of the median replay beyond the spread that passes, in percent; any, if not given.
    pub max_time_growth: Option<f64>,
}

/// What a policy says to a diff.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Judgement {
    /// Changes that fail, with the lane that has each.
    pub failing: Vec<(Kind, String)>,
    /// Changes that were allowed.
    pub allowed: Vec<(Kind, String)>,
}

impl Judgement {
    /// Whether nothing fails.
    pub fn passed(&self) -> bool {
        self.failing.is_empty()
    }
}

impl Policy {
    /// A growth that may be allowed: a number of percent from 0 on.
    pub fn growth(percent: f64) -> Option<f64> {
        Some(percent).filter(|percent| percent.is_finite() && *percent >= 0.0)
    }

    /// Sorts every change into what fails and what was allowed.
    pub fn judge(&self, diff: &Diff) -> Judgement {
        let mut changes: Vec<(Kind, String)> = Vec::new();
        for lane in &diff.lanes {
            changes.extend(self.changes(lane).into_iter().map(|kind| (kind, lane.job.step.clone())));
        }
        changes.extend(diff.lost.iter().map(|job| (Kind::Lanes, name(job))));
        let (allowed, failing) = changes.into_iter().partition(|(kind, _)| self.allowed.contains(kind));
        Judgement { failing, allowed }
    }

    /// The kinds in which a lane changed for the worse.
    fn changes(&self, lane: &LaneDiff) -> Vec<Kind> {
        let mut kinds = Vec::new();
        let mut note = |kind, changed: bool| kinds.extend(changed.then_some(kind));
        // What the old run did not come to was never promised.
        let both = lane.both_ran();
        note(Kind::Bits, both && matches!(lane.bits, Bits::Differ { .. } | Bits::NotCompared { .. }));
        note(Kind::Inputs, lane.bits == Bits::OtherInputs);
        note(Kind::Topology, both && matches!(lane.topology, Topology::Differ { .. } | Topology::OnlyIn { .. }));
        let (old, new) = lane.launches;
        note(Kind::Launches, old.is_some() && new > old);
        note(Kind::Memory, self.memory_grew(lane));
        note(Kind::Findings, lane.gained.iter().any(|finding| !finding.is_allowed()));
        note(Kind::Lanes, lane.lost_run());
        note(Kind::Time, both && self.time_grew(lane));
        kinds
    }

    fn memory_grew(&self, lane: &LaneDiff) -> bool {
        let Some(memory) = &lane.memory else { return false };
        let grew = |old, new| new > old && percent(old, new) > self.max_memory_growth;
        let (old, new) = memory.high_water;
        grew(old, new) || matches!(memory.closed_form, (Some(old), Some(new)) if grew(old, new))
    }

    fn time_grew(&self, lane: &LaneDiff) -> bool {
        match (self.max_time_growth, &lane.times.replay) {
            (None, _) => false,
            (Some(most), Some(change)) => !change.noise && change.percent() > most,
            // A limit that could not be checked was not kept.
            (Some(_), None) => true,
        }
    }
}
