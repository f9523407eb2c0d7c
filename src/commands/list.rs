//! `graphproof list`.

use graphproof_harness::exit_code::ExitCode;
use graphproof_harness::finding::{Check, Id};
use graphproof_kernels::Lane;
use serde::Serialize;

use super::Failure;
use crate::args::ListArgs;
use crate::output;

pub fn run(args: &ListArgs) -> Result<ExitCode, Failure> {
    if args.checks {
        checks(args.json)?
    } else {
        steps(args.json)?
    }
    Ok(ExitCode::Passed)
}

#[derive(Serialize)]
struct ListedStep {
    name: &'static str,
    description: &'static str,
    in_default_suite: bool,
}

fn steps(json: bool) -> Result<(), Failure> {
    let steps = Lane::ALL.map(|lane| ListedStep {
        name: lane.name(),
        description: lane.description(),
        in_default_suite: Lane::SUITE.contains(&lane),
    });
    if json {
        return print_json(&steps);
    }
    let rows = steps.iter().map(|step| {
        let default = if step.in_default_suite { "" } else { " (not in the default suite)" };
        (step.name, format!("{}{default}", step.description))
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
