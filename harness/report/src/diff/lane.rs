//! One lane in two runs.

use std::collections::BTreeSet;

use graphproof_harness::finding::{Finding, Severity};
use graphproof_harness::report::{Achieved, Digests, GraphReport, LaneReport, MemoryReceipt, Verdict};
use serde::Serialize;
use similar::TextDiff;

use super::time::Times;
use crate::report::JobName;

/// What changed in a lane.
#[derive(Debug, Clone, Serialize)]
pub struct LaneDiff {
    /// The lane.
    pub job: JobName,
    /// Its verdicts, old and new.
    pub verdict: (Verdict, Verdict),
    /// What it computed.
    pub bits: Bits,
    /// Its graph.
    pub topology: Topology,
    /// Kernel launches of one replay, old and new; none where no graph was captured.
    pub launches: (Option<u64>, Option<u64>),
    /// Its device memory, where both runs measured it.
    pub memory: Option<Memory>,
    /// Its times.
    pub times: Times,
    /// What it achieved by its device time, old and new, where both runs say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub speed: Option<(Achieved, Achieved)>,
    /// Findings of the new run alone.
    pub gained: Vec<FindingKey>,
    /// Findings of the old run alone.
    pub lost: Vec<FindingKey>,
    /// Checks that the old run made and the new one could not.
    pub no_longer_checked: Vec<String>,
}

/// Whether both runs computed the same bits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "result", rename_all = "kebab-case")]
pub enum Bits {
    /// The same, on the same inputs.
    Same {
        /// Steps compared.
        steps: u64,
    },
    /// Other bits from the same inputs.
    Differ {
        /// The first step that differs.
        first: u64,
        /// How many differ.
        differing: u64,
        /// Steps compared.
        steps: u64,
        /// Buffers that differ, over the whole run; empty if the runs have different lengths.
        buffers: Vec<String>,
    },
    /// The inputs differ, so that the outputs say nothing.
    OtherInputs,
    /// There is nothing to compare.
    NotCompared {
        /// Why.
        reason: String,
    },
}

/// Whether both runs captured the same graph.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "result", rename_all = "kebab-case")]
pub enum Topology {
    /// The same.
    Same,
    /// Another graph.
    Differ {
        /// Unified diff of the graphs as text.
        lines: Vec<String>,
    },
    /// Only one of the runs captured a graph.
    OnlyIn {
        /// Whether it is the new one.
        new: bool,
    },
    /// Neither run captured one.
    Neither,
}

/// Device memory, in bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Memory {
    /// High-water marks, old and new.
    pub high_water: (u64, u64),
    /// Closed forms, old and new.
    pub closed_form: (Option<u64>, Option<u64>),
    /// Buffers that came, went or changed their size.
    pub buffers: Vec<Resized>,
}

/// A buffer of another size, in bytes; 0 where it does not exist.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Resized {
    /// Its name.
    pub name: String,
    /// Old size.
    pub old: u64,
    /// New size.
    pub new: u64,
}

/// What makes a finding the same in two runs. The line is no part of it: lines move with edits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct FindingKey {
    /// Its id.
    pub id: String,
    /// `error`, `warning`, or `allowed` if the run's configuration lets it pass.
    pub severity: String,
    /// Its title.
    pub title: String,
    /// What happened where, such as the kernel and the buffer.
    pub what: String,
}

impl LaneDiff {
    /// Compares two reports of one lane. Times are comparable on the `same_device` only.
    pub fn between(old: &LaneReport, new: &LaneReport, same_device: bool) -> Self {
        let kernels = |lane: &LaneReport| lane.graph.as_ref().map(|graph| graph.kernels() as u64);
        let was_checked = |reason: &&String| !old.not_checked.contains(reason);
        LaneDiff {
            job: JobName::of(new),
            verdict: (old.verdict, new.verdict),
            bits: bits(&old.digests, &new.digests),
            topology: topology(old.graph.as_ref(), new.graph.as_ref()),
            launches: (kernels(old), kernels(new)),
            memory: old.memory.as_ref().zip(new.memory.as_ref()).and_then(|(old, new)| memory(old, new)),
            times: Times::between(&old.times, &new.times, same_device),
            speed: old.speed.clone().zip(new.speed.clone()).filter(|_| same_device),
            gained: without(&new.findings, &old.findings),
            lost: without(&old.findings, &new.findings),
            no_longer_checked: new.not_checked.iter().filter(was_checked).cloned().collect(),
        }
    }
}

impl LaneDiff {
    /// Whether the old run judged the lane and the new one did not come to it.
    pub fn lost_run(&self) -> bool {
        ran(self.verdict.0) && !ran(self.verdict.1)
    }

    /// Whether both runs judged the lane.
    pub fn both_ran(&self) -> bool {
        ran(self.verdict.0) && ran(self.verdict.1)
    }
}

fn ran(verdict: Verdict) -> bool {
    matches!(verdict, Verdict::Pass | Verdict::Fail)
}

fn bits(old: &Digests, new: &Digests) -> Bits {
    let reason = match (old.steps.is_empty(), new.steps.is_empty()) {
        (true, true) => "neither run compared a step",
        (true, false) => "the old run compared no step",
        (false, true) => "the new run compared no step",
        (false, false) => "",
    };
    if !reason.is_empty() {
        return Bits::NotCompared { reason: reason.to_owned() };
    }
    let same_length = old.steps.len() == new.steps.len();
    // Over all steps: runs of different lengths have different digests of the same inputs.
    if same_length && old.inputs != new.inputs {
        return Bits::OtherInputs;
    }
    let pairs = || old.steps.iter().zip(&new.steps);
    let steps = pairs().count() as u64;
    let Some(first) = pairs().position(|(old, new)| old != new) else {
        return Bits::Same { steps };
    };
    let names: BTreeSet<&String> = old.buffers.keys().chain(new.buffers.keys()).collect();
    let differs = |name: &&&String| old.buffers.get(**name) != new.buffers.get(**name);
    let buffers =
        if same_length { names.iter().filter(differs).map(|name| (*name).clone()).collect() } else { Vec::new() };
    Bits::Differ {
        first: first as u64,
        differing: pairs().filter(|(old, new)| old != new).count() as u64,
        steps,
        buffers,
    }
}

fn topology(old: Option<&GraphReport>, new: Option<&GraphReport>) -> Topology {
    let text = |graph: &GraphReport| graph.topology.join("\n") + "\n";
    match (old, new) {
        (None, None) => Topology::Neither,
        (Some(_), None) => Topology::OnlyIn { new: false },
        (None, Some(_)) => Topology::OnlyIn { new: true },
        (Some(old), Some(new)) if old.topology == new.topology => Topology::Same,
        (Some(old), Some(new)) => {
            let (old, new) = (text(old), text(new));
            let diff = TextDiff::from_lines(&old, &new);
            let unified = diff.unified_diff().context_radius(1).to_string();
            Topology::Differ { lines: unified.lines().map(str::to_owned).collect() }
        }
    }
}

fn memory(old: &MemoryReceipt, new: &MemoryReceipt) -> Option<Memory> {
    // A run that ended early has no mark.
    if old.high_water == 0 || new.high_water == 0 {
        return None;
    }
    let size = |receipt: &MemoryReceipt, name: &str| {
        receipt.buffers.iter().find(|buffer| buffer.name == name).map_or(0, |buffer| buffer.bytes)
    };
    let mut names: Vec<&str> = Vec::new();
    for buffer in new.buffers.iter().chain(&old.buffers) {
        if !names.contains(&buffer.name.as_str()) {
            names.push(&buffer.name);
        }
    }
    let sizes =
        names.into_iter().map(|name| Resized { name: name.to_owned(), old: size(old, name), new: size(new, name) });
    Some(Memory {
        high_water: (old.high_water, new.high_water),
        closed_form: (old.closed_form, new.closed_form),
        buffers: sizes.filter(|buffer| buffer.old != buffer.new).collect(),
    })
}

/// The findings of `these` that `those` do not have, each as often as it is missing there.
fn without(these: &[Finding], those: &[Finding]) -> Vec<FindingKey> {
    let mut those: Vec<FindingKey> = those.iter().map(FindingKey::of).collect();
    let mut left: Vec<FindingKey> = these.iter().map(FindingKey::of).collect();
    left.retain(|finding| match those.iter().position(|other| other == finding) {
        Some(place) => {
            those.swap_remove(place);
            false
        }
        None => true,
    });
    left
}

impl FindingKey {
    /// Whether it passes where it is new.
    pub fn is_allowed(&self) -> bool {
        self.severity == "allowed"
    }

    fn of(finding: &Finding) -> Self {
        let severity = match (&finding.allowed, finding.severity) {
            (Some(_), _) => "allowed",
            (None, Severity::Error) => "error",
            (None, Severity::Warning) => "warning",
        };
        FindingKey {
            id: finding.id.to_string(),
            severity: severity.to_owned(),
            title: finding.title.clone(),
            what: finding.site.as_ref().map_or_else(String::new, |site| site.what.clone()),
        }
    }
}
