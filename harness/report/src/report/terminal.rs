//! The run on a terminal or in a pipe: heading, progress, verdicts, findings.

use std::io::{ErrorKind, Stdout, Write};

use anyhow::Context as _;
use graphproof_harness::report::Verdict;

use super::look::Look;
use super::progress::RunBar;
use super::table::{Table, time};
use super::{Event, Opening, Reporter, escape, finding, fold};
use crate::receipt::Receipt;

/// Prints a run. Progress goes to standard error, and only where that is a terminal.
pub struct Terminal<W> {
    out: W,
    look: Look,
    bar: Option<RunBar>,
}

impl<W: Write> Terminal<W> {
    /// Prints to `out` as to a file.
    pub fn new(out: W) -> Self {
        Terminal { out, look: Look::PLAIN, bar: None }
    }

    /// Prints in another way.
    pub fn look(self, look: Look) -> Self {
        Terminal { look, ..self }
    }

    fn print(&mut self, text: &str) -> anyhow::Result<()> {
        let text = fold::folded(text, self.look.width);
        match self.out.write_all(escape::defused(&text).as_bytes()).and_then(|()| self.out.flush()) {
            // Whoever read has seen enough.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
            other => other.context("the output could not be written"),
        }
    }
}

impl Terminal<Stdout> {
    /// Prints to standard output, as wide and coloured as it takes.
    pub fn stdout() -> Self {
        Terminal::new(std::io::stdout()).look(Look::of_stdout())
    }
}

impl<W: Write> Reporter for Terminal<W> {
    fn event(&mut self, event: &Event<'_>) -> anyhow::Result<()> {
        match event {
            Event::RunStarted(opening) => {
                self.print(&heading(opening, self.look))?;
                self.bar =
                    Some(RunBar::new(opening.jobs.iter().map(|job| (escape::line(&job.step).into_owned(), job.steps))));
            }
            Event::LaneStarted(start) => {
                if let Some(bar) = &mut self.bar {
                    bar.begin(start.lane);
                }
            }
            Event::Progress { done, .. } => {
                if let Some(bar) = &mut self.bar {
                    bar.at(*done);
                }
            }
            Event::Finding { .. } => {}
            Event::LaneEnded { report, .. } => {
                if let Some(bar) = &mut self.bar {
                    bar.end(report.steps_compared);
                }
            }
            Event::RunEnded { receipt, .. } => {
                self.bar = None;
                self.print(&closing(&escape::receipt(receipt), self.look))?;
            }
        }
        Ok(())
    }
}

fn heading(opening: &Opening, look: Look) -> String {
    let (major, minor) = opening.compute_capability;
    let first = format!(
        "graphproof {}, {} driver: {} (sm_{major}{minor}, CUDA {}.{})",
        escape::line(&opening.graphproof),
        escape::line(&opening.driver),
        escape::line(&opening.device),
        opening.driver_version / 1000,
        opening.driver_version % 1000 / 10,
    );
    let jobs = &opening.jobs;
    let mut facts = Vec::new();
    if let [first, rest @ ..] = jobs.as_slice() {
        let same = |same: fn(&super::JobName, &super::JobName) -> bool| rest.iter().all(|job| same(first, job));
        match same(|a, b| a.shape == b.shape) {
            true => facts.push(format!("shape {}", escape::line(&first.shape))),
            false => facts.push(format!("{} jobs", jobs.len())),
        }
        match same(|a, b| a.steps == b.steps) {
            true => facts.push(format!("{} replays a step", first.steps)),
            false => facts.push(format!("{} replays", jobs.iter().map(|job| job.steps).sum::<u64>())),
        }
        if same(|a, b| a.seed == b.seed) {
            facts.push(format!("seed {}", first.seed));
        }
    } else {
        facts.push("no job".to_owned());
    }
    facts.push(escape::line(&opening.kernels).into_owned());
    format!("{first}\n{}\n\n", wrapped(&facts, look.width))
}

/// The facts on as few lines as they fit on.
fn wrapped(facts: &[String], width: Option<usize>) -> String {
    let mut lines = vec![String::new()];
    for (index, fact) in facts.iter().enumerate() {
        let comma = if index + 1 < facts.len() { "," } else { "" };
        let line = lines.last().map_or(0, |line| console::measure_text_width(line));
        let wider = line + 1 + console::measure_text_width(fact) + comma.len();
        if line > 0 && width.is_some_and(|width| wider > width) {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(fact);
            line.push_str(comma);
        }
    }
    lines.join("\n")
}

fn closing(receipt: &Receipt, look: Look) -> String {
    let lanes = &receipt.lanes;
    let mut text = String::new();
    if !lanes.is_empty() {
        let table = look.width.map_or_else(|| Table::full(lanes), |width| Table::fitting(lanes, width));
        text.push_str(&table.render(|verdict| look.verdict(verdict)));
    }
    for lane in lanes.iter().filter(|lane| !lane.times.device.is_empty()) {
        text.push_str(&format!("\n{}: a replay takes {} on the device", lane.step, time(lane.times.device.median)));
        if let Some(of) = &lane.speed {
            text.push_str(&format!(", {:.1} TFLOP/s", of.tflops));
            of.beside_it().iter().for_each(|words| text.push_str(&format!(", {words}")));
        }
    }
    if lanes.iter().any(|lane| !lane.times.device.is_empty()) {
        text.push('\n');
    }
    let several = lanes.iter().any(|lane| lane.shape != lanes[0].shape || lane.seed != lanes[0].seed);
    for lane in lanes {
        for found in &lane.findings {
            text.push('\n');
            text.push_str(&look.finding(found, &finding::render(&lane.step, found)));
            if several {
                text.push_str(&format!("   = job: shape {}, seed {}\n", lane.shape, lane.seed));
            }
        }
        for reason in &lane.not_checked {
            text.push_str(&format!("\nnot checked in step '{}': {reason}\n", lane.step));
        }
    }
    for entry in receipt.request.config.iter().flat_map(|config| &config.unused_allow) {
        text.push_str(&format!("\nwarning: {entry}\n"));
    }
    if !lanes.is_empty() {
        text.push('\n');
    }
    text.push_str(&verdict_line(receipt, look));
    text.push('\n');
    text
}

/// `1 step`, `4 steps`.
fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// The whole run in one line.
fn verdict_line(receipt: &Receipt, look: Look) -> String {
    let lanes = &receipt.lanes;
    let allowed = lanes.iter().flat_map(|lane| &lane.findings).filter(|finding| finding.allowed.is_some()).count();
    let compared: u64 = lanes.iter().map(|lane| lane.steps_compared).sum();
    let agreeing: u64 = lanes.iter().map(|lane| lane.steps_agreeing).sum();
    let not_run = lanes.iter().filter(|lane| lane.verdict == Verdict::NotRun).count();
    let word = match receipt.verdict {
        Verdict::Pass => "PASS",
        Verdict::Interrupted => "INTERRUPTED",
        _ => "FAIL",
    };
    let mut names: Vec<&str> = lanes.iter().map(|lane| lane.step.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let what = if names.len() == lanes.len() { "step" } else { "job" };
    let mut line = format!(
        "{}: {}, {agreeing} of {compared} replays equal to eager bit for bit, {}",
        look.word(word),
        count(lanes.len(), what),
        count(receipt.findings() - allowed, "finding")
    );
    if allowed > 0 {
        line.push_str(&format!(", {allowed} allowed"));
    }
    if not_run > 0 {
        line.push_str(&format!(", {not_run} not run"));
    }
    if let Some(part) = &receipt.request.partition {
        line.push_str(&format!("; part {part}, {} jobs are left to the others", receipt.request.not_run.len()));
    }
    line
}
