//! What commands share when they print: the log, files, and the texts of the reporters.

pub mod json;
pub mod log;

use std::io::{ErrorKind, Write as _};

use crate::report::fold;
use crate::report::look::Look;

use crate::commands::Failure;

/// Prints text without colours to standard output. That nobody reads it any more is no failure; a full disk is.
pub fn print(text: &str) -> Result<(), Failure> {
    let text = escape::text(text);
    print_coloured(&fold::folded(&text, Look::of_stdout().width))
}

/// As [`print`], of text that may hold colours: what comes from outside is escaped in it.
pub fn print_coloured(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    match out.write_all(escape::defused(text).as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(json::io(anyhow::Error::new(error).context("standard output cannot be written")))
        }
        _ => Ok(()),
    }
}

/// As [`print_coloured`], to standard error: where standard output is a program's own. Nobody may read it.
pub fn print_error(text: &str) {
    let _ = std::io::stderr().lock().write_all(escape::defused(text).as_bytes());
}

pub use crate::report::{escape, finding, progress, table};
