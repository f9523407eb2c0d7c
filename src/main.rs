//! `graphproof`: proves that a GPU step is safe to run as a CUDA graph.

mod args;
mod commands;
mod interrupt;
mod output;

use std::process::ExitCode as ProcessExit;

use clap::Parser;
use graphproof_harness::exit_code::ExitCode;

use crate::args::{Cli, Command};
use crate::commands::Failure;

fn main() -> ProcessExit {
    tell_when_a_file_is_too_large();
    let cli = Cli::parse();
    // A gate whose reader left must still write its files, and `explain` looks for itself.
    if !matches!(cli.command, None | Some(Command::Gate(_) | Command::Explain(_))) {
        end_quietly_when_nobody_reads();
    }
    if matches!(cli.command, Some(Command::FaultChild(_) | Command::ConformanceChild(_))) {
        end_with_the_parent();
    }
    output::log::start(cli.verbose);
    match run(cli) {
        Ok(code) => code.into(),
        Err(failure) => {
            output::log::failure(&failure);
            failure.code.into()
        }
    }
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

/// A child of ours ends with the process that started it: nobody is left to read what it finds.
fn end_with_the_parent() {
    #[cfg(target_os = "linux")]
    // SAFETY: this call takes plain numbers and changes nothing but what happens when the parent ends.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
    }
}

fn run(cli: Cli) -> Result<ExitCode, Failure> {
    match cli.command {
        None => commands::gate::run(&cli.gate),
        Some(Command::Gate(args)) => commands::gate::run(&args),
        Some(Command::Init(args)) => commands::init::run(&args),
        Some(Command::List(args)) => commands::list::run(&args),
        Some(Command::Graph(args)) => commands::graph::run(&args),
        Some(Command::Doctor(args)) => commands::doctor::run(&args),
        Some(Command::Explain(args)) => commands::explain::run(args.id.as_deref()),
        Some(Command::Conformance(args)) => commands::conformance::run(&args),
        Some(Command::ConformanceChild(args)) => commands::conformance::run_child(&args),
        Some(Command::Kernels(args)) => commands::kernels::run(&args),
        Some(Command::KernelsChild(args)) => commands::kernels::run_child(&args),
        Some(Command::Faults(args)) => commands::faults::run(&args),
        Some(Command::FaultChild(args)) => commands::faults::run_child(&args),
        Some(Command::Diff(args)) => commands::diff::run(&args),
        Some(Command::Merge(args)) => commands::merge::run(&args),
        Some(Command::Report(args)) => commands::report::run(&args),
        Some(Command::Bench(args)) => commands::bench::run(&args),
    }
}
