//! Findings: what is wrong, where, why, and what to do about it.

use std::fmt;
use std::panic::Location;

pub use check::{Check, UnknownCheck};
pub use id::{Id, UnknownId};

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

/// What kind of source a place is in.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Default, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum SiteKind {
    /// A line of Rust.
    #[default]
    Rust,
    /// A line of C or C++, or of the host part of CUDA C++.
    C,
    /// A line of Python.
    Python,
    /// A line of a kernel: of CUDA C++ or of PTX.
    Kernel,
    /// A function of a library or program without line tables: the file is the library, the line 0.
    Library,
}

impl SiteKind {
    /// The kind of a line of host code in `file`.
    pub fn of_file(file: &str) -> Self {
        match file.rsplit_once('.').map_or("", |(_, extension)| extension) {
            "rs" => SiteKind::Rust,
            "py" | "pyx" => SiteKind::Python,
            "ptx" => SiteKind::Kernel,
            _ => SiteKind::C,
        }
    }

    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
    fn is_rust(&self) -> bool {
        *self == SiteKind::Rust
    }
}

/// A place in the step's source, or the nearest thing to one.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub struct Site {
    /// What stands there: `launch of dsa_topk_f32`.
    pub what: String,
    /// Source file, as the compiler names it; the library, where there are no line tables.
    pub file: String,
    /// Line, from 1; 0 where it is not known.
    pub line: u32,
    /// What kind of source it is in.
    #[serde(default, skip_serializing_if = "SiteKind::is_rust")]
    pub kind: SiteKind,
}

impl Site {
    /// The site of `what` at a caller's location.
    pub fn new(what: impl Into<String>, location: &Location<'_>) -> Self {
        Site { what: what.into(), file: location.file().to_owned(), line: location.line(), kind: SiteKind::Rust }
    }

    /// The place in short: `file:line`, or the library alone.
    pub fn place(&self) -> String {
        match self.kind {
            SiteKind::Library => self.file.clone(),
            _ => format!("{}:{}", self.file, self.line),
        }
    }
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place(), self.what)
    }
}

/// One fault that a check found.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub struct Finding {
    /// Which fault of the catalogue.
    pub id: Id,
    /// One line: what is wrong.
    pub title: String,
    /// How bad.
    pub severity: Severity,
    /// The check that found it.
    pub check: Check,
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
    pub fn new(id: Id, check: Check) -> Self {
        let entry = catalogue::entry(id);
        Finding {
            id,
            title: entry.title.to_owned(),
            severity: Severity::Error,
            check,
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

/// Written, read and described to JSON as the text that it is; a text that is none of them is refused.
macro_rules! as_text {
    ($type:ty) => {
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
            }
        }

        // The schema stays as it is when an id is added: that would be no other form of receipt.
        impl schemars::JsonSchema for $type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                String::schema_name()
            }

            fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                String::json_schema(generator)
            }

            fn inline_schema() -> bool {
                true
            }
        }
    };
}
use as_text;

pub mod catalogue;
mod check;
pub mod explain;
mod id;
