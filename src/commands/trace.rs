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

use super::recorded::Told;
use super::{Failure, gate, libraries};
use crate::args::TraceArgs;
use crate::output;
use crate::output::json::io;
use crate::receipt::{AtomicFile, Outputs};
use crate::report::look::Look;

pub fn run(args: &TraceArgs) -> Result<ExitCode, Failure> {
    let mut taken = Outputs::default();
    args.save.iter().try_for_each(|path| taken.take(path, "--save")).map_err(gate::same_file)?;
    let told = Told::prepare(args.html.as_deref(), args.json.as_deref(), taken)?;
    let save = args.save.as_deref().map(|path| AtomicFile::prepare(path, "the record", "--save").map(|_| path));
    let save = save.transpose().map_err(io)?;
    let program = look::program(&args.command).map_err(|error| Failure::new(ExitCode::Usage, error))?;

    let behind = behind(args.driver).map_err(refused)?;
    if args.opaque_kernels && !behind.software {
        let error = anyhow!("--opaque-kernels is for the software driver: NVIDIA's executes machine code");
        return Err(Failure::new(ExitCode::Usage, error));
    }
    let folder = tempfile::Builder::new().prefix("graphproof-trace-").tempdir().map_err(|error| io(error.into()))?;
    let records = folder.path().join("records");
    std::fs::create_dir(&records).map_err(|error| io(error.into()))?;
    let forwarder = Forwarder::new(folder.path(), behind).map_err(refused)?;
    let mut variables = forwarder.environment(&records);
    variables.push(("GRAPHPROOF_TRACE_LIMIT", args.limit.to_string().into()));
    if args.opaque_kernels {
        variables.push(("GRAPHPROOF_OPAQUE_KERNELS", "1".into()));
    }
    let mut missing = Vec::new();
    if forwarder.behind().software {
        let libraries::Placed { variables: preloaded, missing: absent } =
            libraries::beside_the_driver(folder.path()).map_err(io)?;
        variables.extend(preloaded);
        missing = absent;
    }

    let watch = look::Watch::new(forwarder.behind().path.clone(), forwarder.file());
    let ended = child::run(&args.command, &variables, &records, watch)?;
    if let Some(path) = save {
        graphproof_door::save(&records, path)
            .map_err(|error| io(anyhow!(error).context(path.display().to_string())))?;
    }
    let said = tell(&records, &forwarder, &program, &ended, &missing, args.opaque_kernels, &told);
    drop(folder);
    said?;
    ended.pass_on()
}

/// The driver that the recorder is to stand in front of.
pub(super) fn behind(choice: DriverChoice) -> Result<Behind, ForwardError> {
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
fn tell(
    records: &Path,
    forwarder: &Forwarder,
    program: &look::Program,
    ended: &child::Ended,
    missing: &[&str],
    opaque_kernels: bool,
    told: &Told,
) -> Result<(), Failure> {
    let driver = if forwarder.behind().software { "the software driver" } else { "NVIDIA's driver" };
    let mut text = format!("graphproof trace: {}, on {driver} ({})\n", ended.told(), forwarder.behind().path.display());
    if opaque_kernels {
        text += "  opaque kernels: machine code was not executed, and what it would have written is poison\n";
    }
    if let [first, ..] = &forwarder.unseen[..] {
        let count = forwarder.unseen.len();
        text += &format!("  not seen: {count} functions of this driver that the table lacks, such as {first}\n");
    }
    ended.unseen.iter().for_each(|line| text += &format!("  not seen: {line}\n"));
    let mut text = output::escape::text(&text).into_owned();
    match Trace::open(records) {
        Ok(trace) => {
            let report = graphproof_trace::analyse(&trace);
            text += &told.write(&report, Look::of_stderr())?;
        }
        // A program that called no driver leaves no record, and that is all there is to say.
        Err(graphproof_door::TraceError::Empty(_)) => {
            text += &output::escape::text(&format!("No record, no verdict: {}\n", program.why_nothing()));
            for library in missing {
                text += &format!("  {library} is not beside this program; `cargo build --release` leaves it there\n");
            }
        }
        Err(error) => return Err(Failure::new(ExitCode::Io, error)),
    }
    output::print_error(&text);
    Ok(())
}
