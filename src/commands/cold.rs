//! `graphproof cold STEP`: the step captured in a process that has not run it.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use graphproof_harness::exit_code::ExitCode;
use graphproof_harness::finding::{Finding, Severity};
use graphproof_harness::gate::{self, GateConfig};
use graphproof_harness::report::{LaneReport, Verdict};

use super::child::{self, Outcome};
use super::suite::{Planned, PlannedJob};
use super::{Failure, settings};
use crate::args::{ColdArgs, SuiteArgs};
use crate::config::Settings;
use crate::output::{escape, finding, print};
use crate::suite::Suite;

/// How long a child may take. The step is captured, not run.
const DEADLINE: Duration = Duration::from_secs(600);

pub fn run(args: &ColdArgs, own: Arc<dyn Suite>) -> Result<ExitCode, Failure> {
    let suite = Planned::of_steps(&args.target, own, &[&args.step])?;
    let step = &suite.jobs[0].step;
    let then = match &args.then {
        Some(text) => Some(suite.suite.step(&args.step, &settings::shape(suite.suite.as_ref(), text)?)?),
        None => None,
    };
    let config = GateConfig { mode: args.mode, stream: args.stream, ..GateConfig::default() };
    let findings = gate::cold(&suite.session, step, then.as_ref(), &config)?;
    let failed = findings.iter().any(|finding| finding.severity == Severity::Error);
    if args.json {
        let text = serde_json::to_string(&findings).map_err(|error| Failure::new(ExitCode::Internal, error))?;
        print(&format!("{text}\n"))?;
        return Ok(if failed { ExitCode::Findings } else { ExitCode::Passed });
    }
    for finding in &findings {
        print(&escape::text(&finding::render(step.name(), finding)))?;
    }
    if findings.is_empty() {
        let told = format!("'{}': its first capture is as later ones, without a run before\n", step.name());
        print(&escape::text(&told))?;
    }
    Ok(if failed { ExitCode::Findings } else { ExitCode::Passed })
}

/// Captures the step of `job` in a process of its own, and adds what is found to its report. `next` is the job
/// at the next shape of the same step, if the run has one.
pub(super) fn add(
    (job, next): (&PlannedJob, Option<&PlannedJob>),
    (suite, settings): (&SuiteArgs, &Settings),
    stop: &AtomicBool,
    report: &mut LaneReport,
) {
    let mut arguments = vec!["cold".to_owned(), job.job.step.clone(), "--json".to_owned()];
    let mut option = |name: &str, value: String| {
        if !value.is_empty() {
            arguments.extend([name.to_owned(), value]);
        }
    };
    option("--suite", suite.file.as_ref().map(|file| file.display().to_string()).unwrap_or_default());
    option("--shape", job.job.shape.to_string());
    option("--then", next.map(|next| next.job.shape.to_string()).unwrap_or_default());
    option("--driver", graphproof_harness::driver::in_use().map_or("auto", |kind| kind.name()).to_owned());
    option("--stream", job.job.stream.to_string());
    option("--mode", job.job.mode.to_string());
    if settings.compile {
        arguments.push("--compile".to_owned());
    }
    match child::spawn::<Vec<Finding>>(&arguments, DEADLINE, stop) {
        Outcome::Answer(findings) => report.findings.extend(findings),
        Outcome::Died(how) => report.not_checked.push(format!("--cold: the process of its own: {how}")),
    }
    if report.failed() && report.verdict == Verdict::Pass {
        report.verdict = Verdict::Fail;
    }
}
