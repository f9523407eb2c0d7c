//! `graphproof faults --clean`: the indexer's lanes over many seeds and shapes, on which nothing may
//! be found.

use std::sync::atomic::AtomicBool;

use graphproof_harness::driver::{self, DriverKind};
use graphproof_harness::exit_code::ExitCode;
use graphproof_harness::report::{LaneReport, Verdict};
use graphproof_kernels::Lane;

use super::Outcome;
use super::child::Job;
use super::pool;
use crate::args::FaultsArgs;
use crate::commands::Failure;
use crate::commands::child;
use crate::interrupt;
use crate::output::json::ReceiptFile;
use crate::output::{finding, print};

/// Replays of each run: every probe is made by the third.
const STEPS: u64 = 4;
/// A child runs all seeds of a lane at a shape.
const DEADLINE: std::time::Duration = std::time::Duration::from_secs(3600);

/// Shapes around every boundary of the kernels: the warp, the tile of 64, the split of 256, rows
/// beyond 16,384, topk at 1, at sk and above it, each head dimension, one and several batches and heads.
pub const SHAPES: [&str; 20] = [
    "sq=4,sk=64,b=1,h=2,d=32,topk=16",
    "sq=1,sk=1,b=1,h=1,d=32,topk=1",
    "sq=1,sk=33,b=1,h=1,d=32,topk=64",
    "sq=3,sk=63,b=2,h=3,d=32,topk=7",
    "sq=5,sk=65,b=1,h=2,d=64,topk=65",
    "sq=2,sk=16390,b=1,h=1,d=32,topk=32",
    "sq=8,sk=128,b=1,h=4,d=32,topk=33",
    "sq=7,sk=129,b=1,h=2,d=128,topk=1",
    "sq=16,sk=96,b=1,h=1,d=32,topk=96",
    "sq=1,sk=255,b=1,h=2,d=32,topk=20",
    "sq=1,sk=256,b=2,h=2,d=32,topk=64",
    "sq=1,sk=257,b=1,h=2,d=32,topk=256",
    "sq=2,sk=300,b=1,h=2,d=64,topk=100",
    "sq=4,sk=320,b=1,h=4,d=32,topk=32",
    "sq=33,sk=65,b=1,h=1,d=32,topk=5",
    "sq=6,sk=192,b=2,h=1,d=32,topk=64",
    "sq=3,sk=511,b=1,h=1,d=32,topk=63",
    "sq=2,sk=512,b=1,h=2,d=32,topk=128",
    "sq=1,sk=513,b=1,h=1,d=64,topk=129",
    "sq=9,sk=31,b=4,h=2,d=32,topk=31",
];

/// What one child found.
#[derive(Debug, serde::Serialize)]
struct Sweep {
    lane: &'static str,
    shape: &'static str,
    runs: usize,
    replays: u64,
    died: Option<String>,
    alarms: Vec<LaneReport>,
}

pub fn run(args: &FaultsArgs) -> Result<ExitCode, Failure> {
    let file = args.json.as_deref().map(ReceiptFile::prepare).transpose()?;
    let kind = driver::select(args.driver)?.kind;
    let shapes = &SHAPES[..args.shapes.min(SHAPES.len())];
    // Before anything is printed: who reads the heading may already want to stop it.
    let stop = interrupt::flag();
    println!(
        "graphproof {}, {} driver: {} lanes, {} shapes, {} seeds, {STEPS} replays each\n",
        env!("CARGO_PKG_VERSION"),
        kind.name(),
        Lane::SUITE.len(),
        shapes.len(),
        args.seeds
    );
    let cases: Vec<(&'static str, &'static str)> =
        shapes.iter().flat_map(|&shape| Lane::SUITE.map(|lane| (lane.name(), shape))).collect();
    let sweeps = pool::run("faults --clean", &cases, super::width(args.jobs, kind), &stop, |&(lane, shape)| {
        sweep(lane, shape, args, kind, &stop)
    });
    let sweeps: Vec<Sweep> = sweeps.into_iter().flatten().collect();
    let stopped = sweeps.len() < cases.len();
    for sweep in &sweeps {
        if let Some(how) = &sweep.died {
            print(&format!("died: {} at {}: {how}\n", sweep.lane, sweep.shape))?;
        }
        for report in &sweep.alarms {
            for finding in &report.findings {
                let told = finding::render(&report.step, finding);
                print(&format!("false alarm: {} at {}:\n{told}", sweep.lane, sweep.shape))?;
            }
        }
    }
    let runs: usize = sweeps.iter().map(|sweep| sweep.runs).sum();
    let replays: u64 = sweeps.iter().map(|sweep| sweep.replays).sum();
    let wanted = cases.len() as u64 * args.seeds;
    let bad = sweeps.iter().filter(|sweep| sweep.died.is_some() || !sweep.alarms.is_empty()).count();
    let end = match bad == 0 && runs as u64 == wanted {
        _ if stopped => ExitCode::Interrupted,
        true => ExitCode::Passed,
        false => ExitCode::Findings,
    };
    println!(
        "{}: {runs} of {wanted} runs, {replays} replays, {bad} of {} lanes and shapes with a false alarm",
        match end {
            ExitCode::Passed => "PASS",
            ExitCode::Interrupted => "INTERRUPTED",
            _ => "FAIL",
        },
        sweeps.len()
    );
    if let Some(file) = file {
        file.write(&sweeps)?;
    }
    Ok(end)
}

fn sweep(lane: &'static str, shape: &'static str, args: &FaultsArgs, kind: DriverKind, stop: &AtomicBool) -> Sweep {
    let mut sweep = Sweep { lane, shape, runs: 0, replays: 0, died: None, alarms: Vec::new() };
    match child::spawn(&Job::lane(lane, shape, args.seeds, [STEPS, args.orders], kind).arguments, DEADLINE, stop) {
        Outcome::Died(how) => sweep.died = Some(how),
        Outcome::Answer(reports) => {
            sweep.runs = reports.len();
            sweep.replays = reports.iter().map(|report| report.steps_agreeing).sum();
            sweep.alarms = reports
                .into_iter()
                .filter(|report| !report.findings.is_empty() || report.verdict != Verdict::Pass)
                .collect();
        }
    }
    sweep
}
