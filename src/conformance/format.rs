//! The text of a case file: a header, a line `---`, then one call per line.
//!
//! `tests/conformance/README.md` describes the format for those who write cases. This module reads
//! the header and keeps the body as text, because a matrix value may stand anywhere in a body line;
//! [`super::expand`] makes the steps of one cell.

use std::fmt;
use std::path::Path;

/// What stands behind an expectation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Evidence {
    /// NVIDIA documents it.
    Documented,
    /// A published test or report ran it on NVIDIA's driver.
    Measured,
    /// It follows from a documented or measured rule, or from another implementation.
    Inferred,
    /// Nobody has published it: a GPU run decides.
    Calibrate,
}

impl Evidence {
    /// All tags, from the strongest to the weakest.
    pub const ALL: [Self; 4] = [Self::Documented, Self::Measured, Self::Inferred, Self::Calibrate];

    /// The tag as a case file spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Documented => "documented",
            Self::Measured => "measured",
            Self::Inferred => "inferred",
            Self::Calibrate => "calibrate",
        }
    }

    /// Reads a tag.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tag| tag.name() == text)
    }
}

/// One axis of a case's matrix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Axis {
    /// The name that the body substitutes as `$name`.
    pub name: String,
    /// The values, in the order of the file.
    pub values: Vec<String>,
}

/// A line of the body, before substitution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawLine {
    /// The line number in the file, from 1.
    pub number: usize,
    /// The text, comments removed.
    pub text: String,
}

/// A parsed case file.
#[derive(Clone, Debug)]
pub struct CaseFile {
    /// The path below the cases' folder, without the extension, with `/` between its parts.
    pub name: String,
    /// One sentence.
    pub title: String,
    /// Where the expectation comes from.
    pub source: String,
    /// The evidence tag, guarded by matrix values where they differ.
    pub evidence: String,
    /// The lowest driver version, as `cuDriverGetVersion` numbers it (12030 is 12.3).
    pub driver_at_least: Option<i32>,
    /// How many devices it needs.
    pub devices: i32,
    /// Further remarks.
    pub notes: Vec<String>,
    /// The matrix: the cells of a case are the product of its axes.
    pub axes: Vec<Axis>,
    /// Tags of cells that are left out: a cell that has them all does not exist.
    pub excluded: Vec<Vec<String>>,
    /// The calls.
    pub body: Vec<RawLine>,
}

/// A case file that does not parse.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormatError {
    /// The case's name, or its path.
    pub file: String,
    /// The line, from 1; 0 where the whole file is meant.
    pub line: usize,
    /// What is wrong and what would be right.
    pub what: String,
}

impl fmt::Display for FormatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.file, self.what),
            line => write!(f, "{}:{line}: {}", self.file, self.what),
        }
    }
}

impl std::error::Error for FormatError {}

impl CaseFile {
    /// Reads the file at `path`; `root` is the cases' folder, which the name leaves out.
    ///
    /// # Errors
    /// An unreadable file, or a [`FormatError`] with its line.
    pub fn read(root: &Path, path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| anyhow::anyhow!("cannot read the case file {}: {error}", path.display()))?;
        Ok(Self::parse(&name_of(root, path), &text)?)
    }

    /// Parses the text of a case.
    ///
    /// # Errors
    /// A [`FormatError`] with its line.
    pub fn parse(name: &str, text: &str) -> Result<Self, FormatError> {
        let error = |line: usize, what: String| FormatError { file: name.to_owned(), line, what };
        let mut case = Self {
            name: name.to_owned(),
            title: String::new(),
            source: String::new(),
            evidence: String::new(),
            driver_at_least: None,
            devices: 1,
            notes: Vec::new(),
            axes: Vec::new(),
            excluded: Vec::new(),
            body: Vec::new(),
        };
        let mut in_body = false;
        for (number, line) in text.lines().enumerate().map(|(at, line)| (at + 1, without_comment(line))) {
            if in_body {
                if !line.is_empty() {
                    case.body.push(RawLine { number, text: line.to_owned() });
                }
            } else if line == "---" {
                in_body = true;
            } else if !line.is_empty() {
                let (key, value) = line
                    .split_once(':')
                    .ok_or_else(|| error(number, "a header line is `key: value`; the calls come after `---`".into()))?;
                case.header(key.trim(), value.trim()).map_err(|what| error(number, what))?;
            }
        }
        for (key, value) in [("title", &case.title), ("source", &case.source), ("evidence", &case.evidence)] {
            if value.is_empty() {
                return Err(error(0, format!("the header lacks `{key}:`")));
            }
        }
        if case.body.is_empty() {
            return Err(error(0, "no calls: the body starts after a line `---`".into()));
        }
        Ok(case)
    }

    fn header(&mut self, key: &str, value: &str) -> Result<(), String> {
        match key {
            "title" => self.title = value.to_owned(),
            "source" => self.source = value.to_owned(),
            "evidence" => self.evidence = value.to_owned(),
            "note" => self.notes.push(value.to_owned()),
            "requires" => match required_devices(value) {
                Some(count) => self.devices = count,
                None => self.driver_at_least = Some(required_driver(value)?),
            },
            "exclude" => self.excluded.push(value.split_whitespace().map(str::to_owned).collect()),
            "matrix" => {
                let (name, values) = value.split_once('=').ok_or("a matrix is `matrix: name = value, value`")?;
                let values: Vec<String> = values.split(',').map(|value| value.trim().to_owned()).collect();
                if values.iter().any(|value| value.is_empty() || value.contains(char::is_whitespace)) {
                    return Err("a matrix value is one word".into());
                }
                self.axes.push(Axis { name: name.trim().to_owned(), values });
            }
            _ => {
                return Err(format!(
                    "`{key}` is no header: write title, source, evidence, requires, note, matrix or exclude"
                ));
            }
        }
        Ok(())
    }
}

/// The name of the case at `path`: its path below `root`, without the extension.
pub fn name_of(root: &Path, path: &Path) -> String {
    let below = path.strip_prefix(root).unwrap_or(path).with_extension("");
    below.components().map(|part| part.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/")
}

/// A `#` starts a comment at the beginning of a line or after a blank.
fn without_comment(line: &str) -> &str {
    let line = line.trim();
    if line.starts_with('#') {
        return "";
    }
    line.split_once(" #").map_or(line, |(text, _)| text.trim_end())
}

fn required_devices(value: &str) -> Option<i32> {
    value.strip_prefix("devices")?.trim().parse().ok().filter(|count| *count > 0)
}

/// A version such as `12.3` as `cuDriverGetVersion` numbers it.
pub fn driver_version(text: &str) -> Option<i32> {
    let (major, minor) = text.trim().split_once('.')?;
    Some(major.parse::<i32>().ok()? * 1000 + minor.parse::<i32>().ok()? * 10)
}

fn required_driver(value: &str) -> Result<i32, String> {
    let parse = || driver_version(value.strip_prefix("driver")?.trim_start().strip_prefix(">=")?);
    parse().ok_or_else(|| format!("`{value}` is no requirement: write `driver >= 12.3` or `devices 2`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = "title: t\nsource: s\nevidence: documented\nrequires: driver >= 12.3\n---\n# c\nstream S # d\n";

    #[test]
    fn a_small_file_parses() {
        let case = CaseFile::parse("a/b", SMALL).unwrap();
        assert_eq!(case.driver_at_least, Some(12030));
        assert_eq!(case.body, [RawLine { number: 7, text: "stream S".into() }]);
    }

    #[test]
    fn a_case_may_need_several_devices() {
        let requiring = |what: &str| CaseFile::parse("a", &SMALL.replace("driver >= 12.3", what));
        assert_eq!(requiring("devices 2").unwrap().devices, 2);
        for wrong in ["devices", "devices 0", "devices two"] {
            let error = requiring(wrong).unwrap_err();
            assert!(error.what.contains(wrong) && error.what.contains("`devices 2`"), "{error}");
        }
    }

    #[test]
    fn an_unknown_header_names_its_line() {
        let error = CaseFile::parse("a", "title: t\ncolour: red\n---\nstream S\n").unwrap_err();
        assert_eq!(error.line, 2);
        assert!(error.to_string().starts_with("a:2: `colour` is no header"), "{error}");
    }

    #[test]
    fn a_missing_source_is_an_error() {
        let error = CaseFile::parse("a", "title: t\nevidence: measured\n---\nstream S\n").unwrap_err();
        assert_eq!(error.what, "the header lacks `source:`");
    }
}
