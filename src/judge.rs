//! The gate as a function, for programs that are no command line: what it says comes back as a receipt, and
//! a receipt is told again by any reporter.

use std::io::Write;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};

use clap::Parser;
use graphproof_harness::exit_code::ExitCode;

use crate::args::{Cli, Command};
use crate::commands::Failure;
use crate::commands::gate::{Gate, planned};
use crate::receipt::{AtomicFile, Receipt};
use crate::report::sources::Sources;
use crate::report::{HtmlReport, Junit, ReceiptWriter, Reporters, Sarif, Terminal, TraceWriter};
use crate::suite::Suite;

/// What was wrong, where, and what to do: the steps could not be judged, or a report could not be written.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Refused {
    /// The exit code that the command line would give.
    pub code: ExitCode,
    /// In words.
    pub message: String,
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        Refused { code: failure.code, message: format!("{:#}", failure.error) }
    }
}

impl Refused {
    fn io(error: &anyhow::Error) -> Self {
        Refused { code: ExitCode::Io, message: format!("{error:#}") }
    }
}

/// What a gate found.
#[derive(Debug)]
pub struct Judged {
    /// All of it.
    pub receipt: Receipt,
    /// The device or the driver is unusable for the rest of the process.
    pub poisoned: bool,
}

/// Judges the steps of `suite` with the options of `graphproof gate`, those of its reports aside: nothing is
/// printed or written. `stop` ends the run at the next step.
///
/// # Errors
/// Options that are none, and whatever else keeps the run from taking place.
pub fn judge(suite: Arc<dyn Suite>, options: &[String], stop: Arc<AtomicBool>) -> Result<Judged, Refused> {
    let words = ["graphproof", "gate"].into_iter().map(str::to_owned).chain(options.iter().cloned());
    let cli = Cli::try_parse_from(words)
        .map_err(|error| Refused { code: ExitCode::Usage, message: error.render().to_string() })?;
    let Some(Command::Gate(args)) = cli.command else {
        return Err(Refused { code: ExitCode::Usage, message: "these are no options of the gate".to_owned() });
    };
    let gate = Gate::stopped_by(&args, suite.as_ref(), stop)?;
    let suite = planned(&gate, suite)?;
    let (receipt, poisoned) = gate.run(&suite, false, &mut Reporters::default())?;
    Ok(Judged { receipt, poisoned })
}

/// How a receipt can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// The receipt itself.
    Json,
    /// One page.
    Html,
    /// JUnit's XML.
    Junit,
    /// SARIF 2.1.0.
    Sarif,
    /// Timelines for Perfetto.
    Trace,
}

/// Writes a receipt to a file.
///
/// # Errors
/// The file cannot be written.
pub fn write(receipt: &Receipt, form: Form, path: &Path) -> Result<(), Refused> {
    let file = || AtomicFile::prepare(path, "the report", "path").map_err(|error| Refused::io(&error));
    let mut reporters = Reporters::default();
    match form {
        Form::Json => reporters.add(ReceiptWriter::new(file()?)),
        Form::Html => reporters.add(HtmlReport::new(file()?)),
        Form::Junit => reporters.add(Junit::new(file()?)),
        Form::Sarif => reporters.add(Sarif::new(file()?, Sources::here())),
        Form::Trace => reporters.add(TraceWriter::new(file()?)),
    }
    reporters.replay(receipt);
    reporters.take_failures().first().map_or(Ok(()), |error| Err(Refused::io(error)))
}

/// A receipt as the terminal shows it, without colour.
pub fn text(receipt: &Receipt) -> String {
    let kept = Kept::default();
    let mut reporters = Reporters::default();
    reporters.add(Terminal::new(kept.clone()));
    reporters.replay(receipt);
    let bytes = kept.0.lock().unwrap_or_else(PoisonError::into_inner);
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Bytes that two hold.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
