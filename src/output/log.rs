//! The log and the last word on standard error.

use std::io::IsTerminal;

use tracing_subscriber::filter::LevelFilter;

use crate::commands::Failure;

/// Starts the log on standard error. `GRAPHPROOF_LOG` (off, error, warn, info, debug, trace)
/// overrides the level that -v chose.
pub fn start(verbose: u8) {
    let chosen = match verbose {
        0 => LevelFilter::WARN,
        1 => LevelFilter::INFO,
        2 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    let level = std::env::var("GRAPHPROOF_LOG").ok().and_then(|text| text.parse().ok()).unwrap_or(chosen);
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none())
        .without_time()
        .init();
}

/// Says why the command could not do what it was asked for.
pub fn failure(failure: &Failure) {
    eprintln!("error: {:#}", failure.error);
}
