//! One file of a folder of records.

use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::layout::{PAGE, SEGMENT};
use crate::read::header_of;

/// The first eight bytes of a saved trace; the last two are its version.
pub(crate) const SAVED_MAGIC: &[u8; 8] = b"gptrac\x01\x00";

/// The records of a folder, in the order of their names.
///
/// # Errors
/// The folder cannot be read.
pub(crate) fn records_of(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "record") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// Writes the records of `folder` to the one file `file`: of each what is in use, after its length.
///
/// # Errors
/// A record cannot be read, or the file not be written.
pub fn save(folder: &Path, file: &Path) -> io::Result<()> {
    let mut out = BufWriter::new(File::create(file)?);
    out.write_all(SAVED_MAGIC)?;
    for path in records_of(folder)? {
        let mut record = File::open(&path)?;
        let mut page = [0u8; PAGE];
        let length = match record.read_exact(&mut page) {
            Ok(()) => header_of(&page).map_or(PAGE, |header| PAGE + header.used as usize * SEGMENT),
            Err(_) => 0,
        };
        let length = (length as u64).min(record.metadata()?.len());
        out.write_all(&length.to_le_bytes())?;
        record.seek(SeekFrom::Start(0))?;
        let copied = io::copy(&mut record.take(length), &mut out)?;
        if copied != length {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, format!("{} became shorter", path.display())));
        }
    }
    out.into_inner().map_err(|error| error.into_error())?.sync_all()
}
