//! `graphproof cold STEP`: the step captured in a process that has not run it.

use std::sync::Arc;

use graphproof_harness::exit_code::ExitCode;
use graphproof_harness::finding::Severity;
use graphproof_harness::gate::{self, GateConfig};

use super::Failure;
use super::suite::Planned;
use crate::args::ColdArgs;
use crate::output::{escape, finding, print};
use crate::suite::Suite;

pub fn run(args: &ColdArgs, own: Arc<dyn Suite>) -> Result<ExitCode, Failure> {
    let suite = Planned::of_steps(&args.target, own, &[&args.step])?;
    let step = &suite.jobs[0].step;
    let findings = gate::cold(&suite.session, step, &GateConfig { mode: args.mode, ..GateConfig::default() })?;
    for finding in &findings {
        print(&escape::text(&finding::render(step.name(), finding)))?;
    }
    if findings.is_empty() {
        print(&escape::text(&format!(
            "'{}': its first capture is as later ones, without a run before\n",
            step.name()
        )))?;
    }
    let failed = findings.iter().any(|finding| finding.severity == Severity::Error);
    Ok(if failed { ExitCode::Findings } else { ExitCode::Passed })
}
