//! What a planted fault is.

use graphproof_harness::capture_as::StreamKind;
use graphproof_harness::finding::{Check, Id};
use graphproof_harness::step::Step;

use crate::error::KernelsError;

/// A fault planted in a step, with the check that has to find it.
#[derive(Debug, Clone, Copy)]
pub struct Fault {
    /// What it stands for: a row of the fault catalogue (`S01`), or a group of real failures of
    /// indexers (`G08`).
    pub row: &'static str,
    /// Unique name, such as `sync-own-stream`.
    pub name: &'static str,
    /// Which part of the catalogue.
    pub group: Group,
    /// What is planted, in one line.
    pub title: &'static str,
    /// The public report that it stands for, as `owner/repo#n` or a document.
    pub stands_for: &'static str,
    /// What must be found.
    pub expected: Expected,
    /// Why it cannot share a process with other steps, if it cannot.
    pub sticky: Option<&'static str>,
    /// Whether the host never comes back.
    pub hangs: bool,
    /// Makes the step with the fault, or the same step without it.
    pub step: fn(Variant) -> Result<Box<dyn Step>, KernelsError>,
    /// The file that plants it.
    pub file: &'static str,
}

impl Fault {
    /// Whether it is found by a capture of a step that never ran, and by nothing else.
    pub fn is_cold(&self) -> bool {
        self.expected.check == Check::Cold
    }

    /// Whether only replays in flight show it.
    pub fn is_pipelined(&self) -> bool {
        self.expected.check == Check::Pipelined
    }

    /// Seeded orders that the step is replayed under, beside the two extremes.
    pub fn orders(&self) -> u64 {
        u64::from(self.expected.check == Check::Orders)
    }

    /// How often the step is run again where it fails. A verdict that depends on the run shows only
    /// to whoever runs it again.
    pub fn retries(&self) -> u64 {
        u64::from(self.expected.id == Id::V14)
    }
}

/// A part of the catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// Hidden synchronisation with the host.
    Syncs,
    /// Addresses and allocation.
    Addresses,
    /// Structure of the capture.
    Capture,
    /// Values baked in or carried over.
    Values,
    /// Growth over many replays.
    Leaks,
    /// Order of work, and memory outside the step.
    Order,
    /// Real failures of indexers, in the indexer's own kernels and host code.
    Indexer,
}

impl Group {
    /// The name in the matrix.
    pub const fn name(self) -> &'static str {
        match self {
            Group::Syncs => "syncs",
            Group::Addresses => "addresses",
            Group::Capture => "capture",
            Group::Values => "values",
            Group::Leaks => "leaks",
            Group::Order => "order",
            Group::Indexer => "indexer",
        }
    }
}

/// What the harness must say about a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expected {
    /// Id of the finding.
    pub id: Id,
    /// The check that finds it.
    pub check: Check,
    /// Ids that count too where calls are not recorded: the fault is found there, but not told apart
    /// from its kin.
    pub without_record: &'static [Id],
    /// What it cannot be told without, if anything.
    pub needs: Option<Evidence>,
    /// The stream that the step has to run on.
    pub stream: StreamKind,
    /// Its kernels need a device of sm_90, which the software driver can be.
    pub hopper: bool,
}

impl Expected {
    /// Finding `id` of `check`, on every driver.
    pub const fn new(id: Id, check: Check) -> Self {
        Expected { id, check, without_record: &[], needs: None, stream: StreamKind::Blocking, hopper: false }
    }

    /// Adds ids that count where there is no call record.
    pub const fn or(self, without_record: &'static [Id]) -> Self {
        Expected { without_record, ..self }
    }

    /// Says that the step has to run on a stream of this kind.
    pub const fn on(self, stream: StreamKind) -> Self {
        Expected { stream, ..self }
    }

    /// Says that its kernels need a device of sm_90.
    pub const fn on_hopper(self) -> Self {
        Expected { hopper: true, ..self }
    }

    /// Says that only the record of calls can tell it.
    pub const fn by_record_only(self) -> Self {
        Expected { needs: Some(Evidence::Calls), ..self }
    }

    /// Says that it shows in what work does to memory, and in results only by chance.
    pub const fn by_memory_only(self) -> Self {
        Expected { needs: Some(Evidence::Memory), ..self }
    }

    /// Says that only what each kernel reads and writes can tell it.
    pub const fn by_accesses_only(self) -> Self {
        Expected { needs: Some(Evidence::Accesses), ..self }
    }

    /// Says that only another order of the same work can tell it.
    pub const fn by_order_only(self) -> Self {
        Expected { needs: Some(Evidence::Order), ..self }
    }
}

/// What a driver may tell beside results.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Evidence {
    /// The calls made: by the software driver, and by a recorder in front of NVIDIA's.
    Calls,
    /// What work does to memory: by what each kernel reads and writes on the software driver; by what changes, where
    /// calls are recorded.
    Memory,
    /// What each kernel reads and writes: by the software driver, which executes them.
    Accesses,
    /// Other orders of the same work: by the software driver, which chooses them.
    Order,
}

/// With or without the fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Variant {
    /// The step with the fault.
    Planted,
    /// Its twin: the same step without it. No finding may appear.
    Clean,
}

impl Variant {
    /// Whether the fault is in.
    pub fn planted(self) -> bool {
        self == Variant::Planted
    }
}
