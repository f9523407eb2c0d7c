//! The receipt: what a run leaves behind, to be kept, compared and looked at.
//!
//! A receipt is one JSON document; `docs/receipt.schema.json` is its schema. It is sealed: the
//! field `seal` is a hash of everything else, so that a receipt changed by hand is told from one
//! that graphproof wrote.

mod atomic;
mod file;
mod layout;
mod merge;
mod outputs;
mod provenance;
mod schema;
mod seal;

use graphproof_harness::cuda::DeviceFacts;
use graphproof_harness::driver::DriverKind;
use graphproof_harness::report::{LaneReport, Verdict};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use atomic::AtomicFile;
pub use file::{ReadError, read};
pub use layout::lay_out;
pub use merge::{MergeError, Part, merge};
pub use outputs::{Outputs, SameFile};
pub use provenance::{Git, Host, Provenance, git_in};
pub use schema::schema_text;
pub use seal::sha256;

/// Version of the format. It rises with every change that an older reader would misread.
pub const FORMAT: u32 = 1;

/// A whole run.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    /// Version of this format.
    pub format: u32,
    /// What made it, from what, and when.
    pub provenance: Provenance,
    /// Which driver judged.
    pub driver: Driver,
    /// The device.
    pub device: DeviceFacts,
    /// What was asked for.
    pub request: Request,
    /// The modules that the steps launch from.
    pub sources: Vec<SourceHash>,
    /// The steps, in order.
    pub lanes: Vec<LaneReport>,
    /// What each lane needs at lengths that were not run.
    pub geometry: Vec<Geometry>,
    /// The run's verdict, in a word.
    pub verdict: Verdict,
    /// The exit code of the run.
    pub exit_code: u8,
    /// SHA-256 over the receipt with this field empty.
    pub seal: String,
}

/// Which driver judged.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Driver {
    /// NVIDIA's, or the software driver.
    pub kind: DriverKind,
    /// Its file; none for the software driver, which is part of the program.
    pub path: Option<String>,
    /// Why this one.
    pub reason: String,
    /// Why the lanes carry no device times and nothing that is reckoned from them; none where they do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub untimed: Option<String>,
}

/// What a run was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// Replays of each step; the most, where jobs differ.
    pub steps: u64,
    /// Where the kernels come from, in words.
    pub kernels: String,
    /// The suite that the steps are of; none in a receipt of an earlier version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suite: Option<String>,
    /// The tree that the kernels are of; none where a suite does not say, and in a receipt of an earlier
    /// version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tree: Option<TreeUsed>,
    /// The part of the suite, as `2/8`; none for the whole.
    pub partition: Option<String>,
    /// Jobs of the suite that this run left to others or did not come to, with the reason.
    pub not_run: Vec<NotRun>,
    /// The configuration file that was used, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<ConfigUsed>,
}

/// Which tree's kernels were judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TreeUsed {
    /// That of the checkout that the run stood in, as it was there.
    Checkout,
    /// The one that was built into the program: the run stood in no checkout that holds the kernels.
    BuiltIn,
    /// That of a revision which was named.
    Revision,
}

/// A configuration file, as a run met it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfigUsed {
    /// The file, as it was found or named.
    pub file: String,
    /// Its entries that allow a finding which was not there, a line each.
    pub unused_allow: Vec<String>,
}

/// A job of the suite that was not run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NotRun {
    /// The step.
    pub step: String,
    /// Its shape.
    pub shape: String,
    /// Its seed.
    pub seed: u64,
    /// Why it was not run.
    pub reason: String,
}

/// A PTX module and what it was made from, as SHA-256 in hex.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SourceHash {
    /// The module, such as `fused.ptx`.
    pub file: String,
    /// Of the PTX text.
    pub ptx_sha256: String,
    /// Over all CUDA sources behind it and the compiler's options, if known.
    pub source_sha256: Option<String>,
}

/// What one lane needs at one length.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Geometry {
    /// The lane.
    pub step: String,
    /// The shape, as text; its sq and sk are the length.
    pub shape: String,
    /// The length: keys of a batch.
    pub length: u64,
    /// Bytes of all buffers, by the closed form.
    pub closed_form: u64,
    /// The closed form in words.
    pub formula: String,
    /// Its terms, which sum up to it.
    pub terms: Vec<Term>,
    /// Figures that published comparisons use; no part of the sum.
    pub published: Vec<Term>,
    /// High-water mark in bytes, measured with every buffer really allocated and nothing executed.
    pub measured: Option<u64>,
    /// Why nothing was measured.
    pub not_measured: Option<String>,
}

/// A part of a closed form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Term {
    /// What needs it, such as `slab`.
    pub what: String,
    /// The formula, in extents and bytes of an element: `sq·b·h·sk·4`.
    pub formula: String,
    /// Its value in bytes.
    pub bytes: u64,
}

impl Receipt {
    /// The number of findings.
    pub fn findings(&self) -> usize {
        self.lanes.iter().map(|lane| lane.findings.len()).sum()
    }
}
