//! The files of one run: no two of them may be one.

use std::path::{Path, PathBuf};

/// The paths that a run reads and writes.
#[derive(Debug, Default)]
pub struct Outputs {
    taken: Vec<(PathBuf, String)>,
}

/// Two outputs, or an output and an input, are one file.
#[derive(Debug, thiserror::Error)]
#[error("{first} and {second} are one file, {path}: one would replace the other; name two")]
pub struct SameFile {
    first: String,
    second: String,
    path: String,
}

impl Outputs {
    /// Takes a path, which `option` named, for reading or writing.
    ///
    /// # Errors
    /// Something else of this run took it before, by this or another name. What takes any number of
    /// writers, such as a terminal or `/dev/null`, may be taken again.
    pub fn take(&mut self, path: &Path, option: &str) -> Result<(), SameFile> {
        let real = real(path);
        if is_character_device(&real) {
            return Ok(());
        }
        if let Some((_, first)) = self.taken.iter().find(|(known, _)| *known == real) {
            let (first, second) = (first.clone(), option.to_owned());
            return Err(SameFile { first, second, path: path.display().to_string() });
        }
        self.taken.push((real, option.to_owned()));
        Ok(())
    }
}

/// The path without links, also of a file that is not there yet.
fn real(path: &Path) -> PathBuf {
    if let Ok(real) = path.canonicalize() {
        return real;
    }
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    path.file_name().map_or_else(|| folder.clone(), |name| folder.join(name))
}

fn is_character_device(path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt as _;
        path.metadata().is_ok_and(|found| found.file_type().is_char_device())
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        false
    }
}
