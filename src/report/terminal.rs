//! The run on a terminal or in a pipe: heading, progress, verdicts, findings.

use std::io::{ErrorKind, Write};

use anyhow::Context as _;
use graphproof_harness::report::{LaneReport, Verdict};

use super::progress::StepBar;
use super::{Event, Opening, Reporter, finding, table};
use crate::receipt::Receipt;

/// Prints a run. Progress goes to standard error, and only where that is a terminal.
pub struct Terminal<W> {
    out: W,
    bar: Option<StepBar>,
}

impl<W: Write> Terminal<W> {
    /// Prints to `out`.
    pub fn new(out: W) -> Self {
        Terminal { out, bar: None }
    }

    fn print(&mut self, text: &str) -> anyhow::Result<()> {
        match self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush()) {
            // Whoever read has seen enough.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
            other => other.context("the output could not be written"),
        }
    }
}

impl<W: Write> Reporter for Terminal<W> {
    fn event(&mut self, event: &Event<'_>) -> anyhow::Result<()> {
        match event {
            Event::RunStarted(opening) => self.print(&heading(opening)),
            Event::LaneStarted(start) => {
                self.bar = Some(StepBar::new(&start.job.step, start.steps));
                Ok(())
            }
            Event::Progress { done, .. } => {
                if let Some(bar) = &self.bar {
                    bar.at(*done);
                }
                Ok(())
            }
            Event::Finding { .. } => Ok(()),
            Event::LaneEnded { .. } => {
                self.bar = None;
                Ok(())
            }
            Event::RunEnded { receipt, .. } => self.print(&closing(receipt)),
        }
    }
}

fn heading(opening: &Opening) -> String {
    let (major, minor) = opening.compute_capability;
    let (shape, seed) = match opening.jobs.as_slice() {
        [first, rest @ ..] if rest.iter().all(|job| job.shape == first.shape && job.seed == first.seed) => {
            (format!("shape {}", first.shape), format!("seed {}", first.seed))
        }
        jobs => (format!("{} jobs", jobs.len()), "several shapes or seeds".to_owned()),
    };
    format!(
        "graphproof {}, {} driver: {} (sm_{major}{minor}, CUDA {}.{})\n{shape}, {} replays a step, {seed}, {}\n\n",
        opening.graphproof,
        opening.driver,
        opening.device,
        opening.driver_version / 1000,
        opening.driver_version % 1000 / 10,
        opening.steps,
        opening.kernels,
    )
}

fn closing(receipt: &Receipt) -> String {
    let mut text = table::render(&receipt.lanes);
    for lane in &receipt.lanes {
        for finding in &lane.findings {
            text.push('\n');
            text.push_str(&finding::render(&lane.step, finding));
        }
        for reason in &lane.not_checked {
            text.push_str(&format!("\nnot checked in step '{}': {reason}\n", lane.step));
        }
    }
    text.push('\n');
    text.push_str(&verdict_line(&receipt.lanes));
    text.push('\n');
    text
}

/// The whole run in one line.
fn verdict_line(lanes: &[LaneReport]) -> String {
    let findings: usize = lanes.iter().map(|lane| lane.findings.len()).sum();
    let compared: u64 = lanes.iter().map(|lane| lane.steps_compared).sum();
    let agreeing: u64 = lanes.iter().map(|lane| lane.steps_agreeing).sum();
    let word = if lanes.iter().any(LaneReport::failed) {
        "FAIL"
    } else if lanes.iter().any(|lane| lane.verdict == Verdict::Interrupted) {
        "INTERRUPTED"
    } else {
        "PASS"
    };
    format!(
        "{word}: {} steps, {agreeing} of {compared} replays equal to eager bit for bit, {findings} findings",
        lanes.len()
    )
}
