//! `graphproof conformance`: what CUDA does in stream capture, case by case, on either driver.

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use crate::conformance::{self, Cases, Driver, Event, Options, Outcome};
use anyhow::anyhow;
use graphproof_driver::loader::install_software;
use graphproof_harness::driver::{self, DriverKind};
use graphproof_harness::exit_code::ExitCode;

use super::Failure;
use crate::args::{ConformanceArgs, ConformanceChildArgs};
use crate::interrupt;
use crate::output::progress::StepBar;
use crate::output::{json, print};

mod random;

/// Children beside each other, at most: each holds a context of the driver.
const MOST_JOBS: usize = 12;

pub fn run(args: &ConformanceArgs) -> Result<ExitCode, Failure> {
    let file = args.json.as_deref().map(json::ReceiptFile::prepare).transpose()?;
    let kind = driver::select(args.driver)?.kind;
    let cases = Cases::present().map_err(broken_suite)?;
    if let Some(seeds) = &args.random.seeds {
        return random::run(args, seeds, kind, cases.folder());
    }
    if cases.are_built_in() && args.bless_as.is_some() {
        let error = anyhow!("--bless-as writes into a checkout of graphproof, and the run stands in none");
        return Err(Failure::new(ExitCode::Kernels, error));
    }
    let options = options(args, kind, cases.folder())?;
    if args.list {
        for case in conformance::list(&options).map_err(broken_suite)? {
            println!("{} ({}): {} [{}]", case.id, case.evidence.name(), case.title, case.source);
        }
        return Ok(ExitCode::Passed);
    }
    println!("graphproof {}, {} driver: stream capture, case by case\n", env!("CARGO_PKG_VERSION"), kind.name());
    let mut bar = None;
    let mut progress = |event: &Event<'_>| match event {
        Event::Started { total, .. } => bar = Some(StepBar::new("conformance", *total as u64)),
        Event::Finished { done, .. } => {
            if let Some(bar) = &bar {
                bar.at(*done as u64);
            }
        }
    };
    let outcome = match (&args.bless_as, kind) {
        (Some(_), DriverKind::Software) => {
            let error = anyhow!("--bless-as records what NVIDIA's driver answers: it needs --driver system");
            return Err(Failure::new(ExitCode::Usage, error));
        }
        (Some(version), DriverKind::System) => {
            let (outcome, path) = conformance::bless(&options, version, &mut progress).map_err(broken_suite)?;
            println!("wrote {}", path.display());
            outcome
        }
        (None, _) => conformance::run(&options, &mut progress).map_err(broken_suite)?,
    };
    drop(bar);
    if cases.are_built_in() {
        println!("the cases are those that are built into the program: the run stands in no checkout of graphproof");
    }
    print(&outcome.to_string())?;
    if let Some(file) = file {
        file.write(&outcome)?;
    }
    Ok(verdict(&outcome))
}

fn verdict(outcome: &Outcome) -> ExitCode {
    match outcome.is_ok() {
        _ if outcome.not_run > 0 => ExitCode::Interrupted,
        true => ExitCode::Passed,
        false => ExitCode::Findings,
    }
}

/// The hidden command that a child process runs: one cell of one case.
pub fn run_child(args: &ConformanceChildArgs) -> ! {
    if let Some(version) = &args.as_version {
        // SAFETY: the child has no other thread yet.
        unsafe { std::env::set_var("GRAPHPROOF_AS", version) };
    }
    conformance::child_main(&args.case, &args.cell, || match args.driver.as_str() {
        "software" => {
            install_software().map_err(|error| anyhow!("{error}"))?;
            // The stub answers to this name from now on.
            let driver = Driver::open("libcuda.so")?;
            let version = args.as_version.as_deref().and_then(conformance::driver_version);
            Ok(match version {
                Some(version) => driver.of_version(version.unsigned_abs()),
                None => driver,
            })
        }
        _ => Driver::open("libcuda.so.1"),
    })
}

fn options(args: &ConformanceArgs, kind: DriverKind, cases: &Path) -> Result<Options, Failure> {
    let baseline = cases.join("baseline").join(format!("{}.txt", kind.name()));
    let golden = conformance::newest_golden(&cases.join("golden"));
    Ok(Options {
        baseline: Path::exists(&baseline).then_some(baseline),
        golden,
        filter: args.filter.clone(),
        jobs: jobs(args),
        limit: Duration::from_secs(args.limit),
        cases: cases.to_owned(),
        child: child(kind, args.as_version.as_deref())?,
        stop: interrupt::flag(),
    })
}

/// The command that starts a child on a driver of this kind.
fn child(kind: DriverKind, version: Option<&str>) -> Result<Vec<OsString>, Failure> {
    if version.is_some() && kind == DriverKind::System {
        let error = anyhow!("--as is for the software driver: NVIDIA's has the version that it has");
        return Err(Failure::new(ExitCode::Usage, error));
    }
    let program = std::env::current_exe().map_err(|error| {
        Failure::new(ExitCode::Io, anyhow!(error).context("this program's own file cannot be found, to start children"))
    })?;
    let version = version.map(|version| format!("--as={version}").into());
    Ok([program.into(), "conformance-child".into()].into_iter().chain(version).chain([kind.name().into()]).collect())
}

fn jobs(args: &ConformanceArgs) -> usize {
    args.jobs.unwrap_or_else(|| std::thread::available_parallelism().map_or(2, usize::from).min(MOST_JOBS))
}

fn broken_suite(error: anyhow::Error) -> Failure {
    Failure::new(ExitCode::Io, error)
}
