//! `graphproof conformance --random`: random sequences of calls on one driver, compared with another.

use std::path::Path;
use std::time::Duration;

use crate::conformance::random::{self, Against, Grouping, Options, Record, Runner, Seeds};
use anyhow::{Context, anyhow};
use graphproof_harness::driver::DriverKind;
use graphproof_harness::exit_code::ExitCode;

use super::{child, jobs};
use crate::args::ConformanceArgs;
use crate::commands::Failure;
use crate::interrupt;
use crate::output::json;
use crate::output::progress::StepBar;

pub fn run(args: &ConformanceArgs, seeds: &Seeds, kind: DriverKind, cases: &Path) -> Result<ExitCode, Failure> {
    let file = args.json.as_deref().map(json::ReceiptFile::prepare).transpose()?;
    let io = |error: anyhow::Error| Failure::new(ExitCode::Io, error);
    if args.list {
        let record = args.random.against.as_deref().map(Record::read).transpose();
        let record = record.map_err(|error| Failure::new(ExitCode::Usage, error))?;
        print!("{}", random::listing(seeds, args.random.count, record.as_ref()).map_err(io)?);
        return Ok(ExitCode::Passed);
    }
    let known = cases.join("baseline").join(format!("random-{}.txt", kind.name()));
    let options = Options {
        seeds: seeds.clone(),
        count: args.random.count,
        runner: runner(args, kind)?,
        driver: described(kind),
        against: args.random.against.as_deref().map(|against| self::against(args, against)).transpose()?,
        shrink: args.random.shrink,
        minimal: args.random.minimal.clone(),
        known: random::read_known(&known).map_err(io)?,
        stop: interrupt::flag(),
    };
    let total = (seeds.0.end() - seeds.0.start() + 1) * args.random.count;
    println!("{total} random sequences of calls, on {}", options.driver);
    let bar = StepBar::new("sequences", total);
    let outcome = random::run(&options, &|done, _| bar.at(done as u64)).map_err(io)?;
    drop(bar);
    for (path, record) in
        [(&args.random.record, Some(&outcome.record)), (&args.random.record_against, outcome.other.as_ref())]
    {
        if let (Some(path), Some(record)) = (path, record) {
            std::fs::write(path, record.text())
                .with_context(|| format!("cannot write the record {}", path.display()))
                .map_err(io)?;
        }
    }
    println!("{outcome}");
    if let Some(file) = file {
        file.write(&outcome)?;
    }
    if let Some(asked) = outcome.interrupted {
        println!("INTERRUPTED: {} of {asked} sequences were run", outcome.sequences);
        return Ok(ExitCode::Interrupted);
    }
    Ok(if outcome.is_ok() { ExitCode::Passed } else { ExitCode::Findings })
}

fn runner(args: &ConformanceArgs, kind: DriverKind) -> Result<Runner, Failure> {
    let grouping = if args.random.alone { Grouping::Alone } else { Grouping::Shared };
    Ok(Runner {
        child: child(kind, args.as_version.as_deref())?,
        jobs: jobs(args),
        limit: Duration::from_secs(args.limit),
        grouping,
    })
}

fn against(args: &ConformanceArgs, against: &Path) -> Result<Against, Failure> {
    let live = [DriverKind::System, DriverKind::Software].into_iter().find(|kind| Path::new(kind.name()) == against);
    match live {
        Some(kind) => Ok(Against::Live(runner(args, kind)?)),
        None => {
            let record = Record::read(against);
            Ok(Against::Record(record.map_err(|error| Failure::new(ExitCode::Usage, anyhow!(error)))?))
        }
    }
}

/// The driver as a record names it.
fn described(kind: DriverKind) -> String {
    match kind {
        DriverKind::Software => format!("software {}", env!("CARGO_PKG_VERSION")),
        DriverKind::System => {
            let version = std::fs::read_to_string("/sys/module/nvidia/version");
            format!("NVIDIA {}", version.map_or_else(|_| "of unknown version".into(), |text| text.trim().to_owned()))
        }
    }
}
