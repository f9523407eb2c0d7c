//! What a recorded program did, told: the end of `trace`, and `report` of a saved trace.

use std::path::Path;

use graphproof_door::{Trace, TraceError};
use graphproof_harness::exit_code::ExitCode;
use graphproof_trace::Report;

use super::{Failure, gate};
use crate::output::json::io;
use crate::receipt::{AtomicFile, Outputs};
use crate::report::look::Look;
use crate::report::{html, program};

/// The files that are asked for, each tried before the program runs.
pub struct Told {
    html: Option<AtomicFile>,
    json: Option<AtomicFile>,
}

impl Told {
    /// `taken`: what else the run reads and writes.
    pub fn prepare(page: Option<&Path>, json: Option<&Path>, mut taken: Outputs) -> Result<Self, Failure> {
        for (path, option) in [(page, "--html"), (json, "--json")] {
            path.into_iter().try_for_each(|path| taken.take(path, option)).map_err(gate::same_file)?;
        }
        let file = |path: &Path, option: &str| AtomicFile::prepare(path, "the report", option).map_err(io);
        Ok(Told {
            html: page.map(|path| file(path, "--html")).transpose()?,
            json: json.map(|path| file(path, "--json")).transpose()?,
        })
    }

    /// The report as text, once the files are written.
    pub fn write(&self, report: &Report, look: Look) -> Result<String, Failure> {
        if let Some(file) = &self.html {
            file.write(html::program(report).as_bytes()).map_err(io)?;
        }
        if let Some(file) = &self.json {
            file.write_json(report).map_err(io)?;
        }
        Ok(program(report, look))
    }
}

/// Reads a record; `None` if the file is no trace, and may be a receipt.
pub fn read(path: &Path) -> Result<Option<Trace>, Failure> {
    match Trace::open(path) {
        Ok(trace) => Ok(Some(trace)),
        Err(TraceError::NotATrace(_)) => Ok(None),
        Err(error @ TraceError::Empty(_)) => Err(Failure::new(ExitCode::NoRecord, error)),
        Err(error) => Err(Failure::new(ExitCode::Io, error)),
    }
}
