//! `graphproof faults`: proves each check by the faults that it catches, and by the clean twins
//! about which it says nothing.

mod child;
mod clean;
mod matrix;
mod pool;
mod show;

use std::time::Duration;

use anyhow::anyhow;
use graphproof_harness::calls;
use graphproof_harness::driver::{self, DriverKind};
use graphproof_harness::exit_code::ExitCode;
use graphproof_harness::report::LaneReport;
use graphproof_kernels::faults::{self, Fault, NOT_PLANTED, Variant};

use super::Failure;
use crate::args::{FaultChildArgs, FaultsArgs};
use crate::interrupt;
use crate::output::json::ReceiptFile;
use crate::output::print;
use child::Job;
use matrix::{Evidences, Matrix, Row};

/// How a child ended.
type Outcome = super::child::Outcome<Vec<LaneReport>>;

/// Replays of each step: enough for every check, also for those that need a few samples.
const STEPS: u64 = 10;
/// A child that takes longer is ended. A hang is told by the child itself, long before.
const DEADLINE: Duration = Duration::from_secs(120);

pub fn run(args: &FaultsArgs) -> Result<ExitCode, Failure> {
    // Once, and not by every child that could not run.
    crate::indexer::check_present()?;
    if args.clean {
        return clean::run(args);
    }
    if let Some(name) = &args.show {
        return show::run(name, args);
    }
    let faults: Vec<Fault> = faults::all().into_iter().filter(|fault| wanted(fault, args.filter.as_deref())).collect();
    if faults.is_empty() {
        let filter = args.filter.as_deref().unwrap_or_default();
        return Err(Failure::new(
            ExitCode::Usage,
            anyhow!("no planted fault has '{filter}' in its name, row or group"),
        ));
    }
    let file = args.json.as_deref().map(ReceiptFile::prepare).transpose()?;
    // The parent opens no device: a planted fault must not be able to take it along.
    if args.no_record {
        calls::do_without();
    }
    let kind = driver::select(args.driver)?.kind;
    // Before anything is printed: who reads the heading may already want to stop it.
    let stop = interrupt::flag();
    println!(
        "graphproof {}, {} driver: {} planted faults, each with its clean twin, {STEPS} replays each\n",
        env!("CARGO_PKG_VERSION"),
        kind.name(),
        faults.len()
    );
    let jobs: Vec<Job> = faults
        .iter()
        .flat_map(|fault| {
            [Variant::Planted, Variant::Clean].map(|variant| Job::fault(fault, variant, kind, args.no_record))
        })
        .collect();
    let has = Evidences { no_calls: calls::unrecorded(), accesses: calls::watched() };
    let work = |job: &Job| super::child::spawn_with(&job.arguments, job.environment, DEADLINE, &stop);
    let outcomes = pool::run("faults", &jobs, width(args.jobs, kind), &stop, work);
    let (mut rows, mut not_run) = (Vec::new(), Vec::new());
    for (fault, pair) in faults.iter().zip(outcomes.chunks(2)) {
        match pair {
            [Some(planted), Some(twin)] => rows.push(Row::judge(fault, planted, twin, &has)),
            _ => not_run.push(fault.name),
        }
    }
    let matrix = Matrix { driver: kind, rows, not_planted: not_planted(args.filter.is_some()), not_run };
    print(&matrix.render())?;
    if let Some(file) = file {
        file.write(&matrix)?;
    }
    Ok(matrix.exit_code())
}

/// The hidden command that a child process runs.
pub fn run_child(args: &FaultChildArgs) -> Result<ExitCode, Failure> {
    child::run(args)
}

/// Children at a time. On a GPU one by one: `cuMemGetInfo` counts every process's memory.
fn width(asked: Option<usize>, kind: DriverKind) -> Option<usize> {
    asked.or((kind == DriverKind::System).then_some(1))
}

fn wanted(fault: &Fault, filter: Option<&str>) -> bool {
    filter.is_none_or(|filter| {
        [fault.name, fault.row, fault.group.name()]
            .iter()
            .any(|text| text.to_lowercase().contains(&filter.to_lowercase()))
    })
}

fn not_planted(filtered: bool) -> Vec<matrix::NotPlanted> {
    let all = NOT_PLANTED.iter().filter(|_| !filtered);
    all.map(|&(row, reason)| matrix::NotPlanted { row: row.to_owned(), reason: reason.to_owned() }).collect()
}

fn told(outcome: &Outcome) -> Vec<String> {
    match outcome {
        Outcome::Answer(reports) => {
            reports.iter().flat_map(|report| report.findings.iter().map(|finding| finding.id.to_string())).collect()
        }
        Outcome::Died(_) => Vec::new(),
    }
}
