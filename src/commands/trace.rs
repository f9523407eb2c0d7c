//! `graphproof trace`: runs a program with the recorder in front of its driver.

mod child;
mod look;
mod progress;

use std::path::Path;

use anyhow::anyhow;
use graphproof_door::Trace;
use graphproof_forward::{Behind, ForwardError, Forwarder, find_real, find_software};
use graphproof_harness::driver::DriverChoice;
use graphproof_harness::exit_code::ExitCode;
use graphproof_report::receipt::{AtomicFile, Outputs};

use super::{Failure, gate};
use crate::args::TraceArgs;
use crate::output::json::io;

pub fn run(args: &TraceArgs) -> Result<ExitCode, Failure> {
    let mut taken = Outputs::default();
    for (path, option) in [(&args.html, "--html"), (&args.json, "--json"), (&args.save, "--save")] {
        path.iter().try_for_each(|path| taken.take(path, option)).map_err(gate::same_file)?;
    }
    let save = args.save.as_deref().map(|path| AtomicFile::prepare(path, "the record", "--save").map(|_| path));
    let save = save.transpose().map_err(io)?;
    let program = look::program(&args.command).map_err(|error| Failure::new(ExitCode::Usage, error))?;

    let behind = behind(args.driver).map_err(refused)?;
    let folder = tempfile::Builder::new().prefix("graphproof-trace-").tempdir().map_err(|error| io(error.into()))?;
    let records = folder.path().join("records");
    std::fs::create_dir(&records).map_err(|error| io(error.into()))?;
    let forwarder = Forwarder::new(folder.path(), behind).map_err(refused)?;
    let mut variables = forwarder.environment(&records);
    variables.push(("GRAPHPROOF_TRACE_LIMIT", args.limit.to_string().into()));

    let watch = look::Watch::new(forwarder.behind().path.clone(), forwarder.file());
    let ended = child::run(&args.command, &variables, &records, watch)?;
    if let Some(path) = save {
        graphproof_door::save(&records, path)
            .map_err(|error| io(anyhow!(error).context(path.display().to_string())))?;
    }
    tell(&records, &forwarder, &program, &ended);
    drop(folder);
    ended.pass_on()
}

fn behind(choice: DriverChoice) -> Result<Behind, ForwardError> {
    match choice {
        DriverChoice::System => find_real(),
        DriverChoice::Software => find_software(),
        DriverChoice::Auto => find_real().or_else(|error| match error {
            ForwardError::NoDriver(_) => find_software(),
            other => Err(other),
        }),
    }
}

fn refused(error: ForwardError) -> Failure {
    let code = match error {
        ForwardError::Write { .. } => ExitCode::Io,
        _ => ExitCode::NoDriver,
    };
    Failure::new(code, error)
}

/// What was seen, on standard error: standard output is the program's.
fn tell(records: &Path, forwarder: &Forwarder, program: &look::Program, ended: &child::Ended) {
    let driver = if forwarder.behind().software { "the software driver" } else { "NVIDIA's driver" };
    eprintln!("graphproof trace: {}, on {driver} ({})", ended.told(), forwarder.behind().path.display());
    if let [first, ..] = &forwarder.unseen[..] {
        let count = forwarder.unseen.len();
        eprintln!("  not seen: {count} functions of this driver that are newer than graphproof, such as {first}");
    }
    for line in &ended.unseen {
        eprintln!("  not seen: {line}");
    }
    match Trace::open(records) {
        Ok(trace) => {
            for process in &trace.processes {
                eprintln!("{}", progress::process(process));
            }
            for (name, why) in &trace.unread {
                eprintln!("  not read: {name}: {why}");
            }
        }
        Err(_) => {
            eprintln!("No record, no verdict: {}", program.why_nothing());
        }
    }
}
