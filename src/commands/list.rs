//! `graphproof list`.

use std::sync::Arc;

use graphproof_harness::exit_code::ExitCode;

use super::{Failure, suite};
use crate::args::ListArgs;
use crate::suite::Suite;

pub fn run(args: &ListArgs, own: Arc<dyn Suite>) -> Result<ExitCode, Failure> {
    let steps = suite::chosen(&args.suite, own)?.steps();
    let width = steps.iter().map(|step| step.name.len()).max().unwrap_or(0);
    let line = |step: &crate::suite::Listed| {
        let default = if step.by_default { "" } else { " (not in the default suite)" };
        format!("{:width$}  {}{default}\n", step.name, step.summary)
    };
    crate::output::print(&steps.iter().map(line).collect::<String>())?;
    Ok(ExitCode::Passed)
}
