//! Files that a command writes whole or not at all.

#[cfg(feature = "indexer")]
use std::path::Path;

#[cfg(feature = "indexer")]
use crate::receipt::AtomicFile;
use graphproof_harness::exit_code::ExitCode;

use crate::commands::Failure;

#[cfg(feature = "indexer")]
/// A file that will hold what a command found, as JSON.
pub struct ReceiptFile(AtomicFile);

#[cfg(feature = "indexer")]
impl ReceiptFile {
    /// Checks, before a long run, that the file can be written afterwards.
    pub fn prepare(path: &Path) -> Result<Self, Failure> {
        AtomicFile::prepare(path, "the receipt", "--json").map(ReceiptFile).map_err(io)
    }

    /// Writes it beside the file and moves it into place.
    pub fn write(&self, content: &impl serde::Serialize) -> Result<(), Failure> {
        self.0.write_json(content).map_err(io)
    }
}

/// A file could not be read or written.
pub fn io(error: anyhow::Error) -> Failure {
    Failure::new(ExitCode::Io, error)
}
