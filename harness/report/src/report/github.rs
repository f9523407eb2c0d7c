//! GitHub Actions: annotations on standard output, and a summary of the job.
//!
//! The form of the commands: GitHub's documentation, "Workflow commands for GitHub Actions"; what is
//! escaped: `packages/core/src/command.ts` of actions/toolkit.

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::PathBuf;

use anyhow::Context as _;
use graphproof_harness::finding::{Finding, Severity, SiteKind};
use graphproof_harness::report::{LaneReport, Verdict};

use super::sources::{Place, Sources};
use super::{Event, Reporter, escape, finding, table};
use crate::receipt::Receipt;

/// A step's summary may have 1 MiB; GitHub shows none of a longer one.
const LONGEST_SUMMARY: usize = 1_000_000;

/// Tells GitHub of a run when it has ended.
pub struct Github<W> {
    out: W,
    summary: Option<PathBuf>,
    sources: Sources,
}

impl<W: Write> Github<W> {
    /// Annotations go to `out`; the summary is appended to `summary`, if there is one.
    pub fn new(out: W, summary: Option<PathBuf>, sources: Sources) -> Self {
        Github { out, summary, sources }
    }
}

impl<W: Write> Reporter for Github<W> {
    fn event(&mut self, event: &Event<'_>) -> anyhow::Result<()> {
        let Event::RunEnded { receipt, .. } = event else { return Ok(()) };
        let text = annotations(receipt, &self.sources);
        match self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush()) {
            // Whoever read has seen enough.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
            other => other.context("annotations cannot be written")?,
        }
        if let Some(path) = &self.summary {
            let mut file = OpenOptions::new().create(true).append(true).open(path);
            file.as_mut()
                .map_err(|error| std::io::Error::new(error.kind(), error.to_string()))
                .and_then(|file| file.write_all(summary(receipt).as_bytes()))
                .with_context(|| format!("the job summary cannot be written to {}", path.display()))?;
        }
        Ok(())
    }
}

/// One command a line.
pub fn annotations(receipt: &Receipt, sources: &Sources) -> String {
    let receipt = &*escape::receipt(receipt);
    let mut text = String::new();
    for lane in &receipt.lanes {
        for finding in &lane.findings {
            text.push_str(&annotation(lane, finding, sources));
        }
        if lane.verdict == Verdict::NotRun {
            let reason = format!("{}: {}", job(lane), lane.not_checked.join("; "));
            let _ = writeln!(text, "::notice title=not run::{}", data(&reason));
        }
    }
    if receipt.verdict == Verdict::Interrupted {
        text.push_str("::error title=INTERRUPTED::the run was stopped before its end, and not every job was judged\n");
    }
    for entry in receipt.request.config.iter().flat_map(|config| &config.unused_allow) {
        let _ = writeln!(text, "::warning title=unused allow::{}", data(entry));
    }
    text
}

fn annotation(lane: &LaneReport, finding: &Finding, sources: &Sources) -> String {
    let level = match finding.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let mut properties = Vec::new();
    if let Some(site) = finding.site.as_ref().filter(|site| site.kind != SiteKind::Library)
        && let Place::Within(path) = sources.place(&site.file)
    {
        properties.push(format!("file={},line={}", property(&path), site.line));
    }
    properties.push(format!("title={}", property(&format!("{}: {}", finding.id, finding.title))));
    let text = format!("{}\n{}", job(lane), finding::render(&lane.step, finding));
    format!("::{level} {}::{}\n", properties.join(","), data(text.trim_end()))
}

fn job(lane: &LaneReport) -> String {
    format!("step '{}', shape {}, seed {}", lane.step, lane.shape, lane.seed)
}

/// The value of a command.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// The value of a command's property.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

/// The run in Markdown.
pub fn summary(receipt: &Receipt) -> String {
    let receipt = &*escape::receipt(receipt);
    let word = match receipt.verdict {
        Verdict::Pass => "passed",
        Verdict::Interrupted => "was INTERRUPTED",
        _ => "did not pass",
    };
    let part = receipt.request.partition.as_ref().map_or(String::new(), |part| format!(", part {}", cell(part)));
    let mut text = format!(
        "## graphproof {word}{part}\n\n{} driver: {}; {}\n\n",
        receipt.driver.kind.name(),
        cell(&receipt.device.name),
        cell(&receipt.request.kernels)
    );
    let table = table::Table::full(&receipt.lanes);
    for (index, row) in table.rows().enumerate() {
        let cells: Vec<String> = row.iter().map(|text| cell(text)).collect();
        let _ = writeln!(text, "| {} |", cells.join(" | "));
        if index == 0 {
            let _ = writeln!(text, "|{}", "---|".repeat(row.len()));
        }
    }
    let findings = receipt.lanes.iter().flat_map(|lane| lane.findings.iter().map(move |finding| (lane, finding)));
    let mut left_out = 0;
    for (lane, finding) in findings {
        let told = finding::render(&lane.step, finding);
        let block = format!(
            "\n<details><summary><code>{}</code> {} ({})</summary>\n\n{}\n</details>\n",
            finding.id,
            tagged(&finding.title),
            tagged(&job(lane)),
            fenced(&told)
        );
        if text.len() + block.len() > LONGEST_SUMMARY {
            left_out += 1;
        } else {
            text.push_str(&block);
        }
    }
    if left_out > 0 {
        let _ = writeln!(text, "\n{left_out} findings more stand in the log.");
    }
    for entry in receipt.request.config.iter().flat_map(|config| &config.unused_allow) {
        let _ = writeln!(text, "\n- {}", cell(entry));
    }
    text.push('\n');
    text
}

/// Text within a line of Markdown.
fn cell(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '!' | '#' | '~' | '$' | '|' | '*' | '_' | '`' | '[' | ']' | '\\' => out.extend(['\\', c]),
            '\n' | '\r' => out.push(' '),
            _ => out.push(c),
        }
    }
    out
}

/// Text between tags, where Markdown is not read.
fn tagged(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// A block of code whose fence is longer than any in the text.
fn fenced(text: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}text\n{}\n{fence}\n", text.trim_end())
}

#[cfg(test)]
mod tests {
    use super::{cell, data, fenced, property};

    #[test]
    fn commands_are_escaped() {
        assert_eq!(data("50% a\r\nb: c, d"), "50%25 a%0D%0Ab: c, d");
        assert_eq!(property("a: b, 5%\n"), "a%3A b%2C 5%25%0A");
    }

    #[test]
    fn markdown_is_escaped() {
        assert_eq!(cell("a|b <c>\n`d`"), "a\\|b &lt;c&gt; \\`d\\`");
        assert_eq!(fenced("a ``` b\n"), "````text\na ``` b\n````\n");
    }
}
