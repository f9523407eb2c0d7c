//! What a run tells while it goes on, and who listens.
//!
//! A run is one stream of [`Event`]s. Every reporter reads that stream and nothing else, so that
//! the terminal, files and services tell the same story, live or from a receipt.

pub mod escape;
pub mod finding;
pub mod fold;
pub mod github;
pub mod html;
mod jsonl;
pub mod junit;
pub mod look;
pub mod notice;
mod program;
pub mod progress;
mod receipt_file;
pub mod sarif;
pub mod sources;
pub mod table;
mod terminal;
mod time;
pub mod trace;

use std::time::{Duration, Instant};

use graphproof_harness::finding::Finding;
use graphproof_harness::report::LaneReport;
use serde::Serialize;

use crate::receipt::Receipt;

pub use github::Github;
pub use html::HtmlReport;
pub use jsonl::JsonLines;
pub use junit::Junit;
pub use program::program;
pub use receipt_file::ReceiptWriter;
pub use sarif::Sarif;
pub use terminal::Terminal;
pub use trace::TraceWriter;

/// One thing that happened in a run.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event<'a> {
    /// The run begins.
    RunStarted(&'a Opening),
    /// A lane begins.
    LaneStarted(LaneStart<'a>),
    /// Steps of the lane were replayed and compared.
    Progress {
        /// The lane's place in the run, from 0.
        lane: usize,
        /// Steps done.
        done: u64,
        /// Steps asked for.
        asked: u64,
    },
    /// The lane has a finding. All of a lane's come together, before its end.
    Finding {
        /// The lane's place in the run, from 0.
        lane: usize,
        /// The lane's step.
        step: &'a str,
        /// The finding.
        finding: &'a Finding,
    },
    /// A lane ended.
    LaneEnded {
        /// The lane's place in the run, from 0.
        lane: usize,
        /// What is known of it.
        report: &'a LaneReport,
    },
    /// The run ended. The receipt holds all that was told before.
    RunEnded {
        /// The whole run.
        #[serde(skip)]
        receipt: &'a Receipt,
        /// The run's verdict.
        verdict: graphproof_harness::report::Verdict,
        /// The exit code.
        exit_code: u8,
        /// Findings of all lanes.
        findings: usize,
    },
}

/// How a run begins.
#[derive(Debug, Clone, Serialize)]
pub struct Opening {
    /// Version of graphproof.
    pub graphproof: String,
    /// The driver: `software` or `system`.
    pub driver: String,
    /// The device's name.
    pub device: String,
    /// The device's compute capability, major and minor.
    pub compute_capability: (i32, i32),
    /// As `cuDriverGetVersion` says: 13000 is CUDA 13.0.
    pub driver_version: i32,
    /// Where the kernels come from, in words.
    pub kernels: String,
    /// Replays of each step; the most, where jobs differ.
    pub steps: u64,
    /// The jobs, in order.
    pub jobs: Vec<JobName>,
}

/// One job of a suite: a step at a shape, with a seed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct JobName {
    /// The step.
    pub step: String,
    /// The shape, as text.
    pub shape: String,
    /// Seed of the inputs.
    pub seed: u64,
    /// Replays asked for.
    pub steps: u64,
}

/// How a lane begins.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct LaneStart<'a> {
    /// The lane's place in the run, from 0.
    pub lane: usize,
    /// What it is.
    pub job: &'a JobName,
    /// Replays asked for.
    pub steps: u64,
}

/// Listens to a run.
pub trait Reporter {
    /// Takes one event.
    ///
    /// # Errors
    /// What it writes to cannot be written. The run goes on, and ends with exit code 14.
    fn event(&mut self, event: &Event<'_>) -> anyhow::Result<()>;
}

/// Several reporters, each told everything. One that failed is told no more.
#[derive(Default)]
pub struct Reporters {
    active: Vec<Box<dyn Reporter>>,
    failures: Vec<anyhow::Error>,
    spent: Duration,
}

impl Reporters {
    /// Adds a reporter.
    pub fn add(&mut self, reporter: impl Reporter + 'static) {
        self.active.push(Box::new(reporter));
    }

    /// Tells every reporter.
    pub fn tell(&mut self, event: &Event<'_>) {
        let began = Instant::now();
        self.active.retain_mut(|reporter| match reporter.event(event) {
            Ok(()) => true,
            Err(error) => {
                self.failures.push(error);
                false
            }
        });
        self.spent += began.elapsed();
    }

    /// Tells a receipt as if its run took place now, without progress.
    pub fn replay(&mut self, receipt: &Receipt) {
        let opening = Opening::of(receipt);
        self.tell(&Event::RunStarted(&opening));
        for (lane, report) in receipt.lanes.iter().enumerate() {
            self.tell(&Event::LaneStarted(LaneStart { lane, job: &opening.jobs[lane], steps: report.steps_asked }));
            self.end_lane(lane, report);
        }
        self.end_run(receipt);
    }

    /// Tells a lane's findings and its end.
    pub fn end_lane(&mut self, lane: usize, report: &LaneReport) {
        for finding in &report.findings {
            self.tell(&Event::Finding { lane, step: &report.step, finding });
        }
        self.tell(&Event::LaneEnded { lane, report });
    }

    /// Tells the end of the run.
    pub fn end_run(&mut self, receipt: &Receipt) {
        self.tell(&Event::RunEnded {
            receipt,
            verdict: receipt.verdict,
            exit_code: receipt.exit_code,
            findings: receipt.findings(),
        });
    }

    /// Time spent in reporters so far.
    pub fn spent(&self) -> Duration {
        self.spent
    }

    /// What could not be written, and is told no more.
    pub fn take_failures(&mut self) -> Vec<anyhow::Error> {
        std::mem::take(&mut self.failures)
    }
}

impl Opening {
    /// How the run behind a receipt began.
    pub fn of(receipt: &Receipt) -> Self {
        Opening {
            graphproof: receipt.provenance.graphproof.clone(),
            driver: receipt.driver.kind.name().to_owned(),
            device: receipt.device.name.clone(),
            compute_capability: receipt.device.compute_capability,
            driver_version: receipt.device.driver_version,
            kernels: receipt.request.kernels.clone(),
            steps: receipt.request.steps,
            jobs: receipt.lanes.iter().map(JobName::of).collect(),
        }
    }
}

impl JobName {
    /// The job that a report is about.
    pub fn of(report: &LaneReport) -> Self {
        JobName { step: report.step.clone(), shape: report.shape.clone(), seed: report.seed, steps: report.steps_asked }
    }
}
