//! Receipts on disk: written whole or not at all, and read with every doubt told.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::{FORMAT, Receipt, lay_out};
use crate::report::escape;

/// A file that will be written in one go; nothing is left behind until [`write`](Self::write).
#[derive(Debug)]
pub struct AtomicFile {
    path: PathBuf,
}

impl AtomicFile {
    /// Checks, before a long run, that the file can be written afterwards. `what` is what it will
    /// hold, `option` the option that named it.
    ///
    /// # Errors
    /// The path is a folder, or nothing can be made beside it.
    pub fn prepare(path: &Path, what: &str, option: &str) -> anyhow::Result<Self> {
        // A link keeps pointing where it points: the file that it names is the one to replace.
        let target = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let check = || {
            if target.is_dir() {
                anyhow::bail!("it is a directory");
            }
            if is_stream(&target) {
                return Ok(());
            }
            beside(&target).map(drop).map_err(anyhow::Error::from)
        };
        check()
            .with_context(|| format!("{what} cannot be written to {}; choose another {option} FILE", path.display()))?;
        Ok(AtomicFile { path: target })
    }

    /// Where it will be.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes beside the file and moves it into place: whoever reads it sees the old content or
    /// the new one.
    ///
    /// # Errors
    /// As the file system says, such as a full disk; the old content stays.
    pub fn write(&self, content: &[u8]) -> anyhow::Result<()> {
        if is_stream(&self.path) {
            let write = || open_stream(&self.path)?.write_all(content);
            return write().with_context(|| format!("{} could not be written", self.path.display()));
        }
        let write = || {
            let mut file = beside(&self.path)?;
            file.write_all(content)?;
            file.as_file().sync_all()?;
            file.persist(&self.path)?;
            anyhow::Ok(())
        };
        write().with_context(|| format!("{} could not be written; it is as it was before", self.path.display()))
    }

    /// Writes `value` as JSON, laid out by [`lay_out`].
    ///
    /// # Errors
    /// As for [`write`](Self::write).
    pub fn write_json(&self, value: &impl serde::Serialize) -> anyhow::Result<()> {
        self.write(lay_out(&escape::json(serde_json::to_string(value)?)).as_bytes())
    }
}

/// Whether a path names a terminal, a pipe or a device, which is written to and never replaced.
fn is_stream(path: &Path) -> bool {
    path.metadata().is_ok_and(|found| !found.is_file() && !found.is_dir())
}

fn open_stream(path: &Path) -> std::io::Result<std::fs::File> {
    std::fs::OpenOptions::new().write(true).open(path)
}

/// A new file in the folder of `path`, which disappears unless it is put in its place.
fn beside(path: &Path) -> std::io::Result<tempfile::NamedTempFile> {
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        // As any new file: the umask decides who may read it.
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    builder.tempfile_in(folder)
}

/// Why a file is no receipt that can be relied on.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file cannot be read.
    #[error("the receipt {path} cannot be read: {error}")]
    Io {
        /// The file.
        path: String,
        /// Why.
        error: std::io::Error,
    },
    /// It is not JSON, or not all of it.
    #[error("{path} is not a whole receipt: {error}; it may have been cut off while it was copied")]
    NotJson {
        /// The file.
        path: String,
        /// Where, and what was expected.
        error: serde_json::Error,
    },
    /// JSON, but no receipt.
    #[error("{path} is JSON but no receipt: it has no number 'format'")]
    NoReceipt {
        /// The file.
        path: String,
    },
    /// Another version of the format.
    #[error("{path} is a receipt of format {found}, and this graphproof reads format {FORMAT}: {advice}")]
    Format {
        /// The file.
        path: String,
        /// Its format.
        found: u64,
        /// What to do.
        advice: &'static str,
    },
    /// The right version, but not its fields.
    #[error("{path} says that it is a receipt of format {FORMAT}, but {error}; run the gate again")]
    Fields {
        /// The file.
        path: String,
        /// What is missing or too much.
        error: serde_json::Error,
    },
    /// Changed since it was written.
    #[error("the receipt {path} was changed after it was written: its seal does not fit; run the gate again")]
    Seal {
        /// The file.
        path: String,
    },
}

/// Reads a receipt.
///
/// # Errors
/// See [`ReadError`].
pub fn read(path: &Path) -> Result<Receipt, ReadError> {
    let name = || path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|error| ReadError::Io { path: name(), error })?;
    let value: serde_json::Value =
        serde_json::from_str(&text).map_err(|error| ReadError::NotJson { path: name(), error })?;
    let found = value["format"].as_u64().ok_or_else(|| ReadError::NoReceipt { path: name() })?;
    if found != u64::from(FORMAT) {
        let advice = if found > u64::from(FORMAT) {
            "use the graphproof that wrote it, or a newer one"
        } else {
            "run the gate again with this one"
        };
        return Err(ReadError::Format { path: name(), found, advice });
    }
    // From the text and not from the value: its errors name line and column.
    let receipt: Receipt = serde_json::from_str(&text).map_err(|error| ReadError::Fields { path: name(), error })?;
    // The seal covers what the types hold; nothing else may stand in the file.
    let complete = serde_json::to_value(&receipt).is_ok_and(|known| known == value);
    if !complete || !receipt.is_sealed() {
        return Err(ReadError::Seal { path: name() });
    }
    Ok(receipt)
}
