//! Receipts on disk: whole or not at all.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use graphproof_harness::exit_code::ExitCode;

use crate::commands::Failure;

/// A file that will hold a receipt as JSON; nothing is left behind until [`write`](ReceiptFile::write).
pub struct ReceiptFile {
    path: PathBuf,
}

impl ReceiptFile {
    /// Checks, before a long run, that the file can be written afterwards.
    pub fn prepare(path: &Path) -> Result<Self, Failure> {
        let check = || {
            if path.is_dir() {
                anyhow::bail!("it is a directory");
            }
            tempfile::NamedTempFile::new_in(directory(path)).map(drop).map_err(anyhow::Error::from)
        };
        check()
            .with_context(|| format!("the receipt cannot be written to {}; choose another --json FILE", path.display()))
            .map_err(|error| Failure::new(ExitCode::Io, error))?;
        Ok(ReceiptFile { path: path.to_owned() })
    }

    /// Writes the receipt beside the file and moves it into place.
    pub fn write(&self, receipt: &impl serde::Serialize) -> Result<(), Failure> {
        let write = || {
            let mut file = tempfile::NamedTempFile::new_in(directory(&self.path))?;
            serde_json::to_writer_pretty(&mut file, receipt)?;
            file.write_all(b"\n")?;
            file.as_file().sync_all()?;
            file.persist(&self.path)?;
            anyhow::Ok(())
        };
        write()
            .with_context(|| format!("the receipt could not be written to {}", self.path.display()))
            .map_err(|error| Failure::new(ExitCode::Io, error))
    }
}

fn directory(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
