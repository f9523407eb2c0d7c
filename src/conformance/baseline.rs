//! The two kinds of checked-in files that a run is judged against.
//!
//! A **baseline** lists the cells that a driver is known not to pass: one `case@cell result # reason`
//! per line. A **golden file** records what a driver answered to every call of every cell, one JSON
//! object per line: it is the expectation of the calls that a case leaves open with `?`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use super::child::{End, Report};
use super::expand::Script;
use super::expect::Expect;
use super::format::Evidence;

/// What a baseline says of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listed {
    /// A call answers something else.
    Fail,
    /// The process dies.
    Crash,
    /// The process hangs.
    Timeout,
    /// Sometimes one, sometimes the other.
    Flake,
}

/// The cells that a driver is known not to pass.
#[derive(Clone, Debug, Default)]
pub struct Baseline(BTreeMap<String, Listed>);

impl Baseline {
    /// Reads a baseline; a file that does not exist is an empty one.
    ///
    /// # Errors
    /// An unreadable file, or a line that is no `case@cell result`.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(error).with_context(|| format!("cannot read the baseline {}", path.display())),
        };
        Self::parse(&text).with_context(|| format!("in the baseline {}", path.display()))
    }

    fn parse(text: &str) -> anyhow::Result<Self> {
        let mut listed = BTreeMap::new();
        for (number, line) in text.lines().enumerate() {
            let line = line.split('#').next().unwrap_or_default();
            let result = match line.split_whitespace().collect::<Vec<_>>()[..] {
                [] => continue,
                [id, "fail"] => listed.insert(id.to_owned(), Listed::Fail),
                [id, "crash"] => listed.insert(id.to_owned(), Listed::Crash),
                [id, "timeout"] => listed.insert(id.to_owned(), Listed::Timeout),
                [id, "flake"] => listed.insert(id.to_owned(), Listed::Flake),
                _ => bail!("line {}: write `case@cell fail|crash|timeout|flake # reason`", number + 1),
            };
            if result.is_some() {
                bail!("line {}: this cell is listed twice", number + 1);
            }
        }
        Ok(Self(listed))
    }

    /// What the baseline says of a cell.
    pub fn get(&self, id: &str) -> Option<Listed> {
        self.0.get(id).copied()
    }

    /// The listed cells that are none of `known`.
    pub fn stale<'a>(&'a self, known: impl Fn(&str) -> bool + 'a) -> impl Iterator<Item = &'a str> {
        self.0.keys().map(String::as_str).filter(move |id| !known(id))
    }
}

/// What a driver answered in one cell.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct GoldenEntry {
    /// `case@cell`.
    pub id: String,
    /// `done`, or how the process ended: `crash`, `timeout`, `skip: reason`.
    pub end: String,
    /// Each call with its answer: the code, the capture status, counts and edges as the case asks.
    pub calls: Vec<(String, String)>,
}

impl GoldenEntry {
    /// Records a child's run; `None` where it could not be run at all.
    pub fn record(script: &Script, report: &Report) -> Option<Self> {
        let end = match &report.end {
            End::Done => "done".to_owned(),
            End::Skip(reason) => format!("skip: {reason}"),
            End::Crash(_) => "crash".to_owned(),
            End::Timeout => "timeout".to_owned(),
            End::Error(_) => return None,
        };
        let calls = report.seen.iter().map(|seen| (seen.call.clone(), seen.saw.clone())).collect();
        Some(Self { id: script.id.clone(), end, calls })
    }

    /// The answer to the call at `at`; `None` where the case has since become another one there.
    pub fn answer(&self, at: usize, call: &str) -> Option<&str> {
        self.calls.get(at).filter(|(recorded, _)| recorded == call).map(|(_, answer)| answer.as_str())
    }
}

/// A golden file: the cells in the order of their names.
#[derive(Clone, Debug, Default)]
pub struct Golden(BTreeMap<String, GoldenEntry>);

impl Golden {
    /// Reads a golden file; one that does not exist is empty.
    ///
    /// # Errors
    /// An unreadable file or a line that is no entry.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(error).with_context(|| format!("cannot read the golden file {}", path.display())),
        };
        let mut entries = BTreeMap::new();
        for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let entry: GoldenEntry = serde_json::from_str(line)
                .with_context(|| format!("{}:{}: no entry of a golden file", path.display(), number + 1))?;
            entries.insert(entry.id.clone(), entry);
        }
        Ok(Self(entries))
    }

    /// Writes the file as a whole: a reader sees the old one or the new one.
    ///
    /// # Errors
    /// An unwritable folder.
    pub fn write(&self, path: &Path) -> anyhow::Result<()> {
        let mut text = String::new();
        for entry in self.0.values() {
            text.push_str(&serde_json::to_string(entry)?);
            text.push('\n');
        }
        let fresh = path.with_extension("jsonl.new");
        let write = || {
            path.parent().map_or(Ok(()), std::fs::create_dir_all)?;
            std::fs::write(&fresh, &text)?;
            std::fs::rename(&fresh, path)
        };
        write().with_context(|| format!("cannot write the golden file {}", path.display()))
    }

    /// The entry of a cell.
    pub fn get(&self, id: &str) -> Option<&GoldenEntry> {
        self.0.get(id)
    }

    /// Adds or replaces an entry.
    pub fn insert(&mut self, entry: GoldenEntry) {
        self.0.insert(entry.id.clone(), entry);
    }

    /// Drops the cells that no longer exist.
    pub fn retain(&mut self, known: impl Fn(&str) -> bool) {
        self.0.retain(|id, _| known(id));
    }

    /// How many cells it has.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True where nothing was recorded.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A call that NVIDIA's driver answered in another way than the case says.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Contradiction {
    /// `case@cell`.
    pub id: String,
    /// What the case says it rests on.
    pub evidence: Evidence,
    /// The line in the case file.
    pub line: usize,
    /// The call.
    pub call: String,
    /// What the case expects.
    pub expected: String,
    /// What the golden file records.
    pub golden: String,
}

/// The calls of a script that a golden file contradicts.
pub fn contradictions(script: &Script, golden: &Golden) -> Vec<Contradiction> {
    let Some(entry) = golden.get(&script.id) else { return Vec::new() };
    let steps = script.steps.iter().enumerate();
    steps
        .filter_map(|(at, step)| {
            let answer = entry.answer(at, &step.text)?;
            let wrong = matches!(step.expect, Expect::OneOf(_)) && !step.expect.accepts(answer);
            wrong.then(|| Contradiction {
                id: script.id.clone(),
                evidence: script.evidence,
                line: step.line,
                call: step.text.clone(),
                expected: step.expect.text(),
                golden: answer.to_owned(),
            })
        })
        .collect()
}

/// The golden file of the newest driver in a folder, by the numbers in its name.
pub fn newest_golden(folder: &Path) -> Option<PathBuf> {
    let files = std::fs::read_dir(folder).ok()?.filter_map(|entry| Some(entry.ok()?.path()));
    let golden = files.filter(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
    golden.max_by_key(|path| {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        name.split(|c: char| !c.is_ascii_digit()).filter_map(|part| part.parse::<u64>().ok()).collect::<Vec<_>>()
    })
}

/// The golden file of a driver version in a folder.
pub fn golden_path(folder: &Path, version: &str) -> PathBuf {
    folder.join(format!("nvidia-{version}.jsonl"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_baseline_names_the_line_that_is_wrong() {
        assert_eq!(Baseline::parse("a@b fail # why\n\n# c\nd flake\n").unwrap().get("a@b"), Some(Listed::Fail));
        let error = Baseline::parse("a@b fail\na@b sometimes\n").unwrap_err();
        assert!(error.to_string().starts_with("line 2:"), "{error}");
        assert!(Baseline::parse("a fail\na crash\n").is_err());
    }
}
