//! The log and the last word on standard error.

use std::io::{IsTerminal, Write};

use tracing_subscriber::filter::LevelFilter;

use crate::report::{escape, fold};

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
    let coloured = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(move || Log { coloured })
        .with_ansi(coloured)
        .without_time()
        .init();
}

/// Standard error. Where it is no terminal, a CI service may read it: each entry is one message.
struct Log {
    coloured: bool,
}

impl Write for Log {
    fn write(&mut self, entry: &[u8]) -> std::io::Result<usize> {
        let mut out = std::io::stderr().lock();
        if self.coloured {
            // The subscriber has escaped what is not its own.
            return out.write(entry);
        }
        let text = String::from_utf8_lossy(entry);
        writeln!(out, "{}", escape::message_of_error(text.trim_end_matches('\n')))?;
        Ok(entry.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        std::io::stderr().flush()
    }
}

/// Says why the command could not do what it was asked for.
pub fn failure(failure: &Failure) {
    let text = format!("error: {}", escape::message_of_error(&format!("{:#}", failure.error)));
    let width = console::Term::stderr().size_checked().map(|(_, columns)| columns.into());
    eprintln!("{}", fold::folded(&text, width));
}
