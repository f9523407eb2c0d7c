//! `graphproof faults --show`: one planted fault, as the gate tells it.

use anyhow::anyhow;
use graphproof_harness::driver;
use graphproof_harness::exit_code::ExitCode;
use graphproof_kernels::faults::{self, Variant};

use super::DEADLINE;
use super::Outcome;
use super::child::Job;
use crate::args::FaultsArgs;
use crate::commands::Failure;
use crate::commands::child;
use crate::interrupt;
use crate::output::print;
use crate::report::finding;
use crate::report::notice::Notice;

/// Runs the fault in a process of its own and prints its findings. They are what is asked for, so
/// that they are no failure; their absence is.
pub fn run(name: &str, args: &FaultsArgs) -> Result<ExitCode, Failure> {
    let Some(fault) = faults::find(name) else {
        let error = anyhow!("no planted fault is called '{name}'; `graphproof faults` lists them");
        return Err(Failure::new(ExitCode::Usage, error));
    };
    let kind = driver::select(args.driver)?.kind;
    let job = Job::fault(&fault, Variant::Planted, kind, args.no_record);
    let words = format!("'{}' runs, {} s at most", fault.name, DEADLINE.as_secs());
    let _notice = Notice::of_known_length("faults --show", &words);
    let reports = match child::spawn_with(&job.arguments, job.environment, DEADLINE, &interrupt::flag()) {
        Outcome::Answer(reports) => reports,
        Outcome::Died(how) => return Err(Failure::new(ExitCode::Internal, anyhow!("the child died: {how}"))),
    };
    let mut parts = Vec::new();
    for report in &reports {
        parts.extend(report.findings.iter().map(|finding| finding::render(&report.step, finding)));
        parts.extend(
            report.not_checked.iter().map(|reason| format!("not checked in step '{}': {reason}\n", report.step)),
        );
    }
    print(&parts.join("\n"))?;
    let found = reports.iter().any(|report| !report.findings.is_empty());
    Ok(if found { ExitCode::Passed } else { ExitCode::Findings })
}
