//! Files that are written whole or not at all.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use tempfile::NamedTempFile;

use super::lay_out;
use crate::report::escape;

/// How the names of unfinished files begin and end.
const UNFINISHED: (&str, &str) = (".graphproof-", ".tmp");
/// What a disk has to have room for before a run that will write to it.
const ROOM: [u8; 8 << 10] = [0; 8 << 10];

/// A file that will be written in one go; nothing is left behind until [`write`](Self::write).
#[derive(Debug)]
pub struct AtomicFile {
    path: PathBuf,
}

impl AtomicFile {
    /// Checks, before a long run, that the file can be written afterwards. `what` is what it will
    /// hold, `option` the option that named it. What a run that was killed left in the folder goes.
    ///
    /// # Errors
    /// The path is a folder, its name is too long, the file may not be written, nothing can be made
    /// beside it, or the disk is full.
    pub fn prepare(path: &Path, what: &str, option: &str) -> anyhow::Result<Self> {
        // A link keeps pointing where it points: the file that it names is the one to replace.
        let target = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let check = || {
            match target.symlink_metadata() {
                Ok(found) if found.is_dir() => anyhow::bail!("it is a directory"),
                Ok(found) if !found.is_file() && !found.is_symlink() => return Ok(()),
                Ok(_) => drop(std::fs::OpenOptions::new().append(true).open(&target)?),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error.into()),
            }
            collect(folder_of(&target));
            beside(&target)?.as_file_mut().write_all(&ROOM)?;
            Ok(())
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
    /// the new one. A file that is replaced keeps its mode, and its owner where we may give it.
    ///
    /// # Errors
    /// As the file system says, such as a full disk; the old content stays.
    pub fn write(&self, content: &[u8]) -> anyhow::Result<()> {
        if is_stream(&self.path) {
            let write = || std::fs::OpenOptions::new().write(true).open(&self.path)?.write_all(content);
            return write().with_context(|| format!("{} could not be written", self.path.display()));
        }
        let write = || {
            let mut file = beside(&self.path)?;
            keep_mode(&self.path, file.as_file())?;
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

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A new file in the folder of `path`, which disappears unless it is put in its place. It is locked as
/// long as it is being written, which is how [`collect`] tells it from one that was left.
fn beside(path: &Path) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(UNFINISHED.0).suffix(UNFINISHED.1);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        // As any new file: the umask decides who may read it.
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    loop {
        let file = builder.tempfile_in(folder_of(path))?;
        // Where a file system has no locks, nothing is collected either.
        let locked = file.as_file().lock().is_ok();
        // Another run may have taken it for one that was left, before it was locked.
        if !locked || file.path().exists() {
            return Ok(file);
        }
    }
}

/// Removes the unfinished files that runs which were killed left in `folder`.
fn collect(folder: &Path) {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    for entry in entries {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if !(name.starts_with(UNFINISHED.0) && name.ends_with(UNFINISHED.1)) {
            continue;
        }
        let Ok(file) = File::open(entry.path()) else { continue };
        if file.try_lock().is_ok() {
            tracing::info!(file = %entry.path().display(), "removing what a run that was killed left");
            // Who may not remove it leaves it to whoever may.
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// Gives `new` the mode, and where that is allowed the owner, of the file that it will replace.
fn keep_mode(old: &Path, new: &File) -> io::Result<()> {
    let found = match old.metadata() {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        let fresh = new.metadata()?;
        if (fresh.uid(), fresh.gid()) != (found.uid(), found.gid()) {
            // Only root may; the mode is kept all the same.
            let _ = std::os::unix::fs::fchown(new, Some(found.uid()), Some(found.gid()));
        }
    }
    new.set_permissions(found.permissions())
}
