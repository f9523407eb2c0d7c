//! Findings: what is wrong, where, why, and what to do about it.

use std::fmt;
use std::panic::Location;

/// How bad a finding is.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing; the gate still passes.
    Warning,
    /// The step is not safe to replay: the gate fails.
    Error,
}

/// A place in the step's source, or the nearest thing to one.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub struct Site {
    /// What stands there: `launch of dsa_topk_f32`.
    pub what: String,
    /// Source file, as the compiler names it.
    pub file: String,
    /// Line, from 1.
    pub line: u32,
}

impl Site {
    /// The site of `what` at a caller's location.
    pub fn new(what: impl Into<String>, location: &Location<'_>) -> Self {
        Site { what: what.into(), file: location.file().to_owned(), line: location.line() }
    }
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.what)
    }
}

/// One fault that a check found.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub struct Finding {
    /// Stable id from the fault catalogue, such as `A07`.
    pub id: String,
    /// One line: what is wrong.
    pub title: String,
    /// How bad.
    pub severity: Severity,
    /// The check that found it.
    pub check: String,
    /// Step index at which it showed, if it belongs to one.
    pub step: Option<u64>,
    /// Where it happened.
    pub site: Option<Site>,
    /// Where it began, for faults with two places.
    pub origin: Option<Site>,
    /// What should have been.
    pub expected: String,
    /// What was seen.
    pub seen: String,
    /// Further facts.
    pub notes: Vec<String>,
    /// How to fix it.
    pub help: String,
    /// Why it does not fail the gate, and who says so, if the configuration allows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed: Option<String>,
}

impl Finding {
    /// A finding of catalogue entry `id` by `check`, with the entry's title and help.
    pub fn new(id: &'static str, check: &'static str) -> Self {
        let entry = catalogue::entry(id);
        Finding {
            id: id.to_owned(),
            title: entry.title.to_owned(),
            severity: Severity::Error,
            check: check.to_owned(),
            step: None,
            site: None,
            origin: None,
            expected: String::new(),
            seen: String::new(),
            notes: Vec::new(),
            help: entry.help.to_owned(),
            allowed: None,
        }
    }

    /// Sets what was expected and what was seen.
    pub fn contrast(mut self, expected: impl Into<String>, seen: impl Into<String>) -> Self {
        self.expected = expected.into();
        self.seen = seen.into();
        self
    }

    /// Sets the step index.
    pub fn at_step(mut self, step: u64) -> Self {
        self.step = Some(step);
        self
    }

    /// Sets where it happened.
    pub fn at(mut self, site: Option<Site>) -> Self {
        self.site = site;
        self
    }

    /// Sets where it began.
    pub fn began(mut self, origin: Option<Site>) -> Self {
        self.origin = origin;
        self
    }

    /// Adds a fact.
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }
}

pub mod catalogue;
pub mod explain;
