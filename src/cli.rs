//! The command line: from arguments to a command.

use std::process::ExitCode as ProcessExit;
use std::sync::Arc;

use clap::Parser;
use graphproof_harness::exit_code::ExitCode;

use crate::args::{Cli, Command};
use crate::commands::Failure;
use crate::suite::Suite;
use crate::{commands, output};

/// The whole command line for `suite`, with the arguments of the process: judges its steps, and prints,
/// writes and answers as `graphproof` does. Meant to be all of a program's `main`.
pub fn cli(suite: impl Suite + 'static) -> ProcessExit {
    run(Arc::new(suite), std::env::args_os()).into()
}

/// The command line with arguments of the caller's choice, the first of which is the program's name.
/// Signals and the log are set up for the process, so it can be called once.
pub fn run(suite: Arc<dyn Suite>, arguments: impl IntoIterator<Item = std::ffi::OsString>) -> ExitCode {
    tell_when_a_file_is_too_large();
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // Nobody may read what is printed, which changes nothing about the arguments.
            let _ = error.print();
            return if error.use_stderr() { ExitCode::Usage } else { ExitCode::Passed };
        }
    };
    // A gate whose reader left must still write its files, and `explain` looks for itself.
    if !matches!(cli.command, None | Some(Command::Gate(_) | Command::Explain(_))) {
        end_quietly_when_nobody_reads();
    }
    #[cfg(feature = "indexer")]
    if matches!(cli.command, Some(Command::FaultChild(_) | Command::ConformanceChild(_))) {
        end_with_the_parent();
    }
    output::log::start(cli.verbose);
    dispatch(cli, suite).unwrap_or_else(|failure| {
        output::log::failure(&failure);
        failure.code
    })
}

/// `graphproof list | head -1` ends as other programs do, and not with a panic of `println!`.
fn end_quietly_when_nobody_reads() {
    // SAFETY: called before any other thread; the default action has no handler to get wrong.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
}

/// A file beyond the limit of `ulimit -f` is a write error with a message, not the end of the process.
fn tell_when_a_file_is_too_large() {
    // SAFETY: called before any other thread; to ignore a signal runs no code.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
}

#[cfg(feature = "indexer")]
/// A child of ours ends with the process that started it: nobody is left to read what it finds.
fn end_with_the_parent() {
    #[cfg(target_os = "linux")]
    // SAFETY: this call takes plain numbers and changes nothing but what happens when the parent ends.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
    }
}

fn dispatch(cli: Cli, suite: Arc<dyn Suite>) -> Result<ExitCode, Failure> {
    match cli.command {
        None => commands::gate::run(&cli.gate, suite),
        Some(Command::Gate(args)) => commands::gate::run(&args, suite),
        Some(Command::Init(args)) => commands::init::run(&args, suite.as_ref()),
        Some(Command::List(args)) => commands::list::run(&args, suite),
        Some(Command::Graph(args)) => commands::graph::run(&args, suite),
        Some(Command::Bisect(args)) => commands::bisect::run(&args, suite),
        Some(Command::Cold(args)) => commands::cold::run(&args, suite),
        Some(Command::Doctor(args)) => commands::doctor::run(&args),
        Some(Command::Explain(args)) => commands::explain::run(args.id.as_deref()),
        #[cfg(feature = "indexer")]
        Some(Command::Conformance(args)) => commands::conformance::run(&args),
        #[cfg(feature = "indexer")]
        Some(Command::ConformanceChild(args)) => commands::conformance::run_child(&args),
        #[cfg(feature = "indexer")]
        Some(Command::Kernels(args)) => commands::kernels::run(&args),
        #[cfg(feature = "indexer")]
        Some(Command::KernelsChild(args)) => commands::kernels::run_child(&args),
        #[cfg(feature = "indexer")]
        Some(Command::Faults(args)) => commands::faults::run(&args),
        #[cfg(feature = "indexer")]
        Some(Command::FaultChild(args)) => commands::faults::run_child(&args),
        Some(Command::Diff(args)) => commands::diff::run(&args),
        Some(Command::Merge(args)) => commands::merge::run(&args),
        Some(Command::Report(args)) => commands::report::run(&args),
        Some(Command::Trace(args)) => commands::trace::run(&args),
        Some(Command::Libraries(args)) => commands::libraries::run(&args),
        Some(Command::Bench(args)) => commands::bench::run(&args, suite),
    }
}
