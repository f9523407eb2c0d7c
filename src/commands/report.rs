//! `graphproof report`: a kept receipt, or a saved trace, told again.

use anyhow::anyhow;
use graphproof_harness::exit_code::ExitCode;

use super::recorded::{self, Told};
use super::{Failure, diff, gate};
use crate::args::{ReplayArgs, ReportArgs};
use crate::output;
use crate::receipt::Outputs;
use crate::report::look::Look;

pub fn run(args: &ReplayArgs) -> Result<ExitCode, Failure> {
    if let Some(trace) = recorded::read(&args.receipt)? {
        return saved(args, &trace);
    }
    let receipt = diff::read(&args.receipt)?;
    let mut taken = Outputs::default();
    taken.take(&args.receipt, "the receipt that is read").map_err(gate::same_file)?;
    let mut reporters = gate::reporters(&args.report, taken)?;
    reporters.replay(&receipt);
    gate::written(&mut reporters)?;
    Ok(gate::exit_code(receipt.exit_code))
}

/// A trace, as `trace --save` wrote it.
fn saved(args: &ReplayArgs, trace: &graphproof_door::Trace) -> Result<ExitCode, Failure> {
    let ReportArgs { json, html, events, trace: timelines, junit, sarif, .. } = &args.report;
    let others = [("--events", events), ("--trace", timelines), ("--junit", junit), ("--sarif", sarif)];
    if let Some((option, _)) = others.iter().find(|(_, path)| path.is_some()) {
        let error = anyhow!(
            "{option} tells a run of the gate, and {} is a saved trace: it has --html and --json",
            args.receipt.display()
        );
        return Err(Failure::new(ExitCode::Usage, error));
    }
    let mut taken = Outputs::default();
    taken.take(&args.receipt, "the trace that is read").map_err(gate::same_file)?;
    let told = Told::prepare(html.as_deref(), json.as_deref(), taken)?;
    let report = graphproof_trace::analyse(trace);
    let text = told.write(&report, Look::of_stdout())?;
    output::print_coloured(&text)?;
    Ok(gate::exit_code(report.exit_code))
}
