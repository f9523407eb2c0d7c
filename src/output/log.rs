//! The log and the last word on standard error.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::commands::Failure;

/// Starts the log on standard error. `GRAPHPROOF_LOG` overrides the level that -v chose.
pub fn start(verbose: u8) {
    let level = match verbose {
        0 => "warn",
        1 => "info",
        2 => "debug",
        _ => "trace",
    };
    let filter = EnvFilter::try_from_env("GRAPHPROOF_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none())
        .without_time()
        .init();
}

/// Says why the command could not do what it was asked for.
pub fn failure(failure: &Failure) {
    eprintln!("error: {:#}", failure.error);
}
