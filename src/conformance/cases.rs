//! Which case files are run where none are named.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use graphproof_harness::checkout;
use include_dir::{Dir, include_dir};

/// Those that are built into the program.
static BUILT_IN: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/tests/conformance");

/// A folder of case files.
pub struct Cases {
    folder: PathBuf,
    /// Where the built-in files lie as long as they are used.
    unpacked: Option<tempfile::TempDir>,
}

impl Cases {
    /// Those of the checkout that the run stands in, else those that are built into the program.
    ///
    /// # Errors
    /// The built-in files cannot be unpacked.
    pub fn present() -> anyhow::Result<Self> {
        let here = std::env::current_dir().unwrap_or_default();
        let folders = checkout::folders(&here).map(|folder| folder.join("tests/conformance"));
        // A folder of that name may be anybody's; one with a baseline in it is ours.
        if let Some(folder) = folders.into_iter().find(|folder| folder.join("baseline/software.txt").is_file()) {
            let folder = folder.strip_prefix(&here).map(Path::to_owned).unwrap_or(folder);
            return Ok(Cases { folder, unpacked: None });
        }
        let unpack = || {
            let place = tempfile::Builder::new().prefix("graphproof-conformance-").tempdir()?;
            BUILT_IN.extract(place.path())?;
            std::io::Result::Ok(place)
        };
        let place = unpack().context("the built-in cases cannot be unpacked into the folder for temporary files")?;
        Ok(Cases { folder: place.path().to_owned(), unpacked: Some(place) })
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whether they are the program's own.
    pub fn are_built_in(&self) -> bool {
        self.unpacked.is_some()
    }
}
