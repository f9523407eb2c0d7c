//! The reading half: typed, in order, and never trusting a byte.

mod call;
mod events;
mod process;
mod segments;

use std::io;
use std::path::{Path, PathBuf};

pub use call::{Call, Value};
pub use events::{Event, EventKind, GraphDump};
pub(crate) use process::header_of;
pub use process::{Damage, Process};

use crate::save::{SAVED_MAGIC, records_of};

/// Why there is nothing to read.
#[derive(Debug)]
pub enum TraceError {
    /// It cannot be read.
    Io(PathBuf, io::Error),
    /// It is no trace.
    NotATrace(PathBuf),
    /// It is one of another version of the format.
    OtherVersion(PathBuf),
    /// No process left a record.
    Empty(PathBuf),
}

impl std::fmt::Display for TraceError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Io(path, error) => write!(f, "{}: {error}", path.display()),
            Self::NotATrace(path) => {
                write!(f, "{} is not a saved trace: `graphproof trace --save FILE` writes one", path.display())
            }
            Self::OtherVersion(path) => {
                write!(f, "{} was written by another version of graphproof: read it with that one", path.display())
            }
            Self::Empty(path) => write!(f, "{} holds no record of a process", path.display()),
        }
    }
}

impl std::error::Error for TraceError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(_, error) => Some(error),
            _ => None,
        }
    }
}

/// What a command's processes did with the driver.
#[derive(Debug)]
pub struct Trace {
    /// Each process, in the order in which they began; after an exec the same process twice.
    pub processes: Vec<Process>,
    /// Records that could not be read at all: which, and why.
    pub unread: Vec<(String, String)>,
}

impl Trace {
    /// Reads a folder of records or a file that [`crate::save`] wrote.
    ///
    /// # Errors
    /// Nothing there is a record. Damage inside a record is no error: [`Process::damage`] tells it.
    pub fn open(path: &Path) -> Result<Self, TraceError> {
        let fail = |error| TraceError::Io(path.to_owned(), error);
        let records: Vec<(String, Vec<u8>)> = if path.is_dir() {
            let read = |path: PathBuf| {
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                process::read_record(&path).map(|bytes| (name, bytes))
            };
            records_of(path).map_err(fail)?.into_iter().map(read).collect::<io::Result<_>>().map_err(fail)?
        } else {
            split(path, std::fs::read(path).map_err(fail)?)?
        };
        let mut trace = Self { processes: Vec::new(), unread: Vec::new() };
        for (name, bytes) in records {
            match Process::new(bytes) {
                Ok(process) => trace.processes.push(process),
                Err(why) => trace.unread.push((name, why)),
            }
        }
        trace.processes.sort_by_key(|process| (process.started, process.pid));
        if trace.processes.is_empty() && trace.unread.is_empty() {
            return Err(TraceError::Empty(path.to_owned()));
        }
        Ok(trace)
    }
}

/// The records of a saved file, each after its length.
fn split(path: &Path, bytes: Vec<u8>) -> Result<Vec<(String, Vec<u8>)>, TraceError> {
    let Some(mut rest) = bytes.strip_prefix(SAVED_MAGIC) else {
        let ours = bytes.starts_with(&SAVED_MAGIC[..6]);
        let error = if ours { TraceError::OtherVersion } else { TraceError::NotATrace };
        return Err(error(path.to_owned()));
    };
    let mut records = Vec::new();
    while let Some((length, tail)) = rest.split_first_chunk::<8>() {
        let length = usize::try_from(u64::from_le_bytes(*length)).unwrap_or(usize::MAX).min(tail.len());
        let (record, tail) = tail.split_at(length);
        records.push((format!("record {}", records.len() + 1), record.to_vec()));
        rest = tail;
    }
    Ok(records)
}
