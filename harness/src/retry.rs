//! Runs a failed step again, to tell a fault that is always there from one that comes and goes.

use std::sync::Arc;
use std::time::Instant;

use crate::cuda::Session;
use crate::error::RunError;
use crate::finding::{Check, Finding, Id};
use crate::gate::{self, GateConfig, LaneOutcome, Progress};
use crate::report::{LaneReport, Verdict};
use crate::step::Step;

const CHECK: Check = Check::Retries;

/// Runs `step`, and again, `retries` times at most, while it fails. `settle` sees the report of
/// each attempt before it is judged. The outcome is that of the first attempt, with a finding more
/// if a later one passed.
///
/// # Errors
/// A run could not take place, or what `settle` says.
pub fn run<E: From<RunError>>(
    session: &Arc<Session>,
    step: &Arc<dyn Step>,
    config: &GateConfig,
    retries: u64,
    progress: &mut dyn FnMut(Progress),
    settle: &mut dyn FnMut(&mut LaneReport) -> Result<(), E>,
) -> Result<LaneOutcome, E> {
    let began = Instant::now();
    let mut attempt = || -> Result<LaneOutcome, E> {
        let mut outcome = gate::run(session, step, config, progress)?;
        settle(&mut outcome.report)?;
        Ok(outcome)
    };
    let mut first = attempt()?;
    for retry in 1..=retries {
        if !first.report.failed() || first.poisoned || config.stopped() {
            break;
        }
        let again = attempt()?;
        first.poisoned = again.poisoned;
        if again.report.verdict == Verdict::Pass {
            first.report.findings.push(passed_again(&first.report, retry, retries));
            break;
        }
    }
    first.report.times.wall = u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX);
    Ok(first)
}

/// The verdict depends on the run.
fn passed_again(first: &LaneReport, retry: u64, retries: u64) -> Finding {
    let mut ids: Vec<&str> = first.findings.iter().map(|finding| finding.id.as_str()).collect();
    ids.dedup();
    let place = first.findings.iter().find(|finding| finding.site.is_some());
    Finding::new(Id::V14, CHECK)
        .at(place.and_then(|finding| finding.site.clone()))
        .contrast(
            format!("the verdict of the first run on the same inputs: {}", ids.join(", ")),
            format!("retry {retry} of {retries} passed"),
        )
        .note("the findings of the first run stay: a replay that is wrong once is wrong")
}
