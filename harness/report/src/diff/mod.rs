//! What changed between two runs: bits, graphs, launches, memory, times, findings.
//!
//! [`Diff::between`] compares lane by lane and judges nothing; [`Policy::judge`] says which of the
//! changes a gate lets pass.

mod lane;
mod policy;
mod render;
mod time;

use serde::Serialize;

use crate::receipt::Receipt;
use crate::report::JobName;

pub use lane::{Bits, FindingKey, LaneDiff, Memory, Resized, Topology};
pub use policy::{Judgement, Kind, Policy};
pub use time::{Change, Times};

/// Two runs compared.
#[derive(Debug, Clone, Serialize)]
pub struct Diff {
    /// Name of the older receipt.
    pub old: String,
    /// Name of the newer receipt.
    pub new: String,
    /// What differs around the lanes: program, checkout, driver, device, kernels.
    pub around: Vec<Field>,
    /// Modules that differ.
    pub sources: Vec<SourceChange>,
    /// Lanes of both, in the new one's order.
    pub lanes: Vec<LaneDiff>,
    /// Lanes of the old one alone.
    pub lost: Vec<JobName>,
    /// Lanes of the new one alone.
    pub added: Vec<JobName>,
}

/// A field that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Field {
    /// Its name, in a word or two.
    pub name: String,
    /// Its old value.
    pub old: String,
    /// Its new value.
    pub new: String,
}

/// A module that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SourceChange {
    /// The module, such as `fused.ptx`.
    pub file: String,
    /// How, in words.
    pub change: String,
}

/// Two receipts without a lane in common.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{old} and {new} have no lane in common, so there is nothing to compare: the first ran {old_lanes}; the second \
     ran {new_lanes}"
)]
pub struct NothingInCommon {
    old: String,
    new: String,
    old_lanes: String,
    new_lanes: String,
}

impl Diff {
    /// Compares two runs; lanes belong together if step, shape and seed are the same. `old_name`
    /// and `new_name` are the receipts' names in messages.
    ///
    /// # Errors
    /// No lane is in both.
    pub fn between(
        (old_name, old): (&str, &Receipt),
        (new_name, new): (&str, &Receipt),
    ) -> Result<Self, NothingInCommon> {
        let (old_jobs, new_jobs) = (jobs(old), jobs(new));
        let same_device = old.device == new.device && old.driver.kind == new.driver.kind;
        let mut lanes = Vec::new();
        for (lane, name) in new.lanes.iter().zip(&new_jobs) {
            if let Some(place) = old_jobs.iter().position(|job| same(job, name)) {
                lanes.push(LaneDiff::between(&old.lanes[place], lane, same_device));
            }
        }
        if lanes.is_empty() {
            return Err(NothingInCommon {
                old: old_name.to_owned(),
                new: new_name.to_owned(),
                old_lanes: listed(&old_jobs),
                new_lanes: listed(&new_jobs),
            });
        }
        let missing = |from: &[JobName], there: &[JobName]| {
            from.iter().filter(|job| !there.iter().any(|other| same(job, other))).cloned().collect::<Vec<_>>()
        };
        Ok(Diff {
            old: old_name.to_owned(),
            new: new_name.to_owned(),
            around: around(old, new),
            sources: sources(old, new),
            lanes,
            lost: missing(&old_jobs, &new_jobs),
            added: missing(&new_jobs, &old_jobs),
        })
    }
}

fn jobs(receipt: &Receipt) -> Vec<JobName> {
    receipt.lanes.iter().map(JobName::of).collect()
}

/// Whether two jobs are the same lane, whatever their numbers of steps.
fn same(a: &JobName, b: &JobName) -> bool {
    (&a.step, &a.shape, a.seed) == (&b.step, &b.shape, b.seed)
}

/// A lane in words.
fn name(job: &JobName) -> String {
    format!("{} ({}, seed {})", job.step, job.shape, job.seed)
}

fn listed(jobs: &[JobName]) -> String {
    const MOST: usize = 4;
    if jobs.is_empty() {
        return "none".to_owned();
    }
    let mut words: Vec<String> = jobs.iter().take(MOST).map(name).collect();
    if jobs.len() > MOST {
        words.push(format!("{} more", jobs.len() - MOST));
    }
    words.join(", ")
}

fn around(old: &Receipt, new: &Receipt) -> Vec<Field> {
    let git = |receipt: &Receipt| {
        let changed = |dirty| if dirty { " with changes" } else { "" };
        let git = receipt.provenance.git.as_ref();
        git.map_or_else(|| "none".to_owned(), |git| format!("{:.12}{}", git.revision, changed(git.dirty)))
    };
    let device = |receipt: &Receipt| {
        let (device, (major, minor)) = (&receipt.device, receipt.device.compute_capability);
        let gib = device.total_memory as f64 / f64::from(1 << 30);
        format!("{} (sm_{major}{minor}, {gib:.1} GiB, {} SMs)", device.name, device.multiprocessors)
    };
    let driver = |receipt: &Receipt| {
        let version = receipt.device.driver_version;
        format!("{}, CUDA {}.{}", receipt.driver.kind.name(), version / 1000, version % 1000 / 10)
    };
    let fields = [
        ("graphproof", old.provenance.graphproof.clone(), new.provenance.graphproof.clone()),
        ("git", git(old), git(new)),
        ("driver", driver(old), driver(new)),
        ("device", device(old), device(new)),
        ("kernels", old.request.kernels.clone(), new.request.kernels.clone()),
        ("steps", old.request.steps.to_string(), new.request.steps.to_string()),
    ];
    let changed = fields.into_iter().filter(|(_, old, new)| old != new);
    changed.map(|(name, old, new)| Field { name: name.to_owned(), old, new }).collect()
}

fn sources(old: &Receipt, new: &Receipt) -> Vec<SourceChange> {
    let mut changes = Vec::new();
    for source in &new.sources {
        let change = match old.sources.iter().find(|known| known.file == source.file) {
            None => "new",
            Some(known) => match (known.ptx_sha256 != source.ptx_sha256, known.source_sha256 != source.source_sha256) {
                (false, false) => continue,
                (true, true) => "source and PTX changed",
                (true, false) => "PTX changed, from the same source",
                (false, true) => "source changed, PTX the same",
            },
        };
        changes.push(SourceChange { file: source.file.clone(), change: change.to_owned() });
    }
    for source in old.sources.iter().filter(|old| new.sources.iter().all(|new| new.file != old.file)) {
        changes.push(SourceChange { file: source.file.clone(), change: "gone".to_owned() });
    }
    changes
}
