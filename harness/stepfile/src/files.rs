//! Where the files that a suite names are read from: its folder, or a git revision of it.

use std::path::{Path, PathBuf};

use graphproof_report::receipt::git_in;
use graphproof_report::suite::SuiteError;

/// The folder of a suite's file.
#[derive(Debug, Clone)]
pub struct Files {
    folder: PathBuf,
    /// The commit to read from, with the folder below the checkout's root; else the disk.
    commit: Option<(String, String)>,
}

impl Files {
    pub fn beside(file: &Path) -> Self {
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        Files { folder: folder.to_owned(), commit: None }
    }

    /// The same folder in `revision`, and the revision's name for people.
    ///
    /// # Errors
    /// There is no git, no checkout or no such revision.
    pub fn at(&self, revision: &str) -> Result<(Self, String), SuiteError> {
        let unknown = || {
            let folder = self.folder.display();
            SuiteError::usage(format!("--against {revision}: there is no such revision in a git checkout of {folder}"))
        };
        if revision.is_empty() || revision.starts_with('-') {
            return Err(unknown());
        }
        let commit = self.git(&["rev-parse", "--verify", "--quiet", &format!("{revision}^{{commit}}")]);
        let commit = String::from_utf8(commit.ok_or_else(unknown)?).map_err(|_| unknown())?.trim().to_owned();
        let prefix = self.git(&["rev-parse", "--show-prefix"]).ok_or_else(unknown)?;
        let prefix = String::from_utf8_lossy(&prefix).trim_end_matches('\n').to_owned();
        let name = format!("{revision} ({commit:.12})");
        Ok((Files { folder: self.folder.clone(), commit: Some((commit, prefix)) }, name))
    }

    fn git(&self, arguments: &[&str]) -> Option<Vec<u8>> {
        let output = git_in(&self.folder).args(arguments).output().ok()?;
        output.status.success().then_some(output.stdout)
    }

    /// The content of `name`, from the folder on.
    ///
    /// # Errors
    /// It cannot be read, in words.
    pub fn read(&self, name: &str) -> Result<Vec<u8>, String> {
        match &self.commit {
            None => {
                let path = self.folder.join(name);
                std::fs::read(&path).map_err(|error| format!("{} cannot be read: {error}", path.display()))
            }
            Some((commit, prefix)) => self
                .git(&["cat-file", "blob", &format!("{commit}:{prefix}{name}")])
                .ok_or_else(|| format!("the revision {commit:.12} has no {prefix}{name}")),
        }
    }

    /// The path of `name` on disk.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}
