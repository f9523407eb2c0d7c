//! One hash over the host code of the steps, taken when the program is built and again when it runs
//! in a checkout. The build script uses this file too.

use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

/// SHA-256, in lower-case hex, over the Rust files below `folder`, by name and content.
///
/// # Errors
/// A folder or a file cannot be read.
pub fn hash(folder: &Path) -> io::Result<String> {
    let mut files = Vec::new();
    find(folder, &mut files)?;
    files.sort();
    let mut whole = Sha256::new();
    for file in files {
        let content = std::fs::read(&file)?;
        let name = file.strip_prefix(folder).unwrap_or(&file);
        whole.update(name.as_os_str().as_encoded_bytes());
        whole.update([0]);
        whole.update(Sha256::digest(&content));
    }
    Ok(whole.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

fn find(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            find(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(())
}
