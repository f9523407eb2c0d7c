//! `graphproof list`.

use std::sync::Arc;

use graphproof_harness::exit_code::ExitCode;
use graphproof_harness::finding::{Check, Id};
use serde::Serialize;

use super::{Failure, suite};
use crate::args::ListArgs;
use crate::output;
use crate::suite::Suite;

pub fn run(args: &ListArgs, own: Arc<dyn Suite>) -> Result<ExitCode, Failure> {
    if args.checks {
        checks(args.json)?
    } else {
        steps(suite::chosen(&args.suite, own)?.as_ref(), args.json)?
    }
    Ok(ExitCode::Passed)
}

#[derive(Serialize)]
struct ListedStep {
    name: String,
    description: String,
    in_default_suite: bool,
}

fn steps(suite: &dyn Suite, json: bool) -> Result<(), Failure> {
    let listed = suite.steps().into_iter().map(|step| ListedStep {
        name: step.name,
        description: step.summary,
        in_default_suite: step.by_default,
    });
    let steps: Vec<ListedStep> = listed.collect();
    if json {
        return print_json(&steps);
    }
    let rows = steps.iter().map(|step| {
        let default = if step.in_default_suite { "" } else { " (not in the default suite)" };
        (step.name.as_str(), format!("{}{default}", step.description))
    });
    table(&rows.collect::<Vec<_>>())
}

#[derive(Serialize)]
struct ListedCheck {
    name: &'static str,
    reads: &'static str,
    /// Ids of the faults that it sees.
    finds: Vec<Id>,
}

fn checks(json: bool) -> Result<(), Failure> {
    let sees = |check: Check, id: &Id| id.explanation().checks().any(|name| name == check.name());
    let checks: Vec<ListedCheck> = Check::ALL
        .iter()
        .map(|&check| ListedCheck {
            name: check.name(),
            reads: check.reads(),
            finds: Id::ALL.iter().copied().filter(|id| sees(check, id)).collect(),
        })
        .collect();
    if json {
        return print_json(&checks);
    }
    let ids = |check: &ListedCheck| check.finds.iter().map(|id| id.as_str()).collect::<Vec<_>>().join(" ");
    table(&checks.iter().map(|check| (check.name, format!("{} ({})", check.reads, ids(check)))).collect::<Vec<_>>())
}

fn table(rows: &[(&str, String)]) -> Result<(), Failure> {
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    output::print(&rows.iter().map(|(name, text)| format!("{name:width$}  {text}\n")).collect::<String>())
}

fn print_json(list: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(list).map_err(|error| output::json::io(error.into()))?;
    output::print(&(text + "\n"))
}
