//! Where a receipt comes from.

use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What made a receipt, from what, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Provenance {
    /// Version of graphproof.
    pub graphproof: String,
    /// The git checkout that the run stood in, or what `GRAPHPROOF_REVISION` says outside one.
    pub git: Option<Git>,
    /// The machine.
    pub host: Host,
    /// The arguments after the program's name.
    pub arguments: Vec<String>,
    /// Seconds since 1970-01-01 00:00 UTC when the run began.
    pub began: u64,
}

/// A git checkout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Git {
    /// The commit, in hex.
    pub revision: String,
    /// Whether tracked files differ from it.
    pub dirty: bool,
}

/// A machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Host {
    /// Operating system, as Rust names it.
    pub os: String,
    /// Processor architecture, as Rust names it.
    pub arch: String,
    /// Threads that may run at once.
    pub threads: u64,
}

impl Provenance {
    /// Of the present run.
    pub fn of_this_run() -> Self {
        let began = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
        let threads = std::thread::available_parallelism().map_or(1, usize::from) as u64;
        Provenance {
            graphproof: env!("CARGO_PKG_VERSION").to_owned(),
            git: Git::of(Path::new(".")).or_else(Git::named),
            host: Host { os: std::env::consts::OS.to_owned(), arch: std::env::consts::ARCH.to_owned(), threads },
            arguments: std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect(),
            began,
        }
    }
}

impl Git {
    /// The checkout around `folder`; none outside one, or where there is no git.
    pub fn of(folder: &Path) -> Option<Self> {
        let revision = git(folder, &["rev-parse", "HEAD"])?;
        let changed = git(folder, &["status", "--porcelain", "--untracked-files=no"])?;
        Some(Git { revision: revision.trim().to_owned(), dirty: !changed.trim().is_empty() })
    }

    /// What `GRAPHPROOF_REVISION` names, as `git describe --always --abbrev=40 --dirty` prints it: for a
    /// container, or a machine that got the program alone.
    fn named() -> Option<Self> {
        let text = std::env::var("GRAPHPROOF_REVISION").ok().filter(|text| !text.is_empty())?;
        let (revision, dirty) = text.strip_suffix("-dirty").map_or((text.as_str(), false), |clean| (clean, true));
        if revision.is_empty() || !revision.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            tracing::warn!("GRAPHPROOF_REVISION is '{text}': it should be a commit in hex, with or without '-dirty'");
            return None;
        }
        Some(Git { revision: revision.to_owned(), dirty })
    }
}

/// `git`, to be run in `folder`: for the checkout that is there, whatever the environment names. A git
/// hook's environment does, and so may a user's.
pub fn git_in(folder: &Path) -> Command {
    let mut git = Command::new("git");
    for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_PREFIX", "GIT_NAMESPACE"] {
        git.env_remove(name);
    }
    git.arg("-C").arg(folder);
    git
}

/// What a git command prints, if it succeeds.
fn git(folder: &Path, arguments: &[&str]) -> Option<String> {
    let output = git_in(folder).args(arguments).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}
