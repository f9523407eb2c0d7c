//! The kernels of a git revision, read without touching a checkout.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, anyhow};
use graphproof_harness::exit_code::ExitCode;
use graphproof_kernels::KernelTree;

use super::Failure;
use crate::output::json::io;

/// Reads `kernels/cu` and `kernels/ptx` of `revision` in the checkout around the current folder.
///
/// # Errors
/// No git, no checkout, no such revision, or no kernels in it.
pub fn kernels(revision: &str) -> Result<KernelTree, Failure> {
    let usage = |error| Failure::new(ExitCode::Usage, error);
    let top = git(Path::new("."), &["rev-parse", "--show-toplevel"])?.map_err(|said| {
        usage(anyhow!("--against {revision} needs the git checkout that has it, and there is none here: {said}"))
    })?;
    let top = PathBuf::from(top.trim_end());
    let unknown =
        || usage(anyhow!("--against {revision}: there is no such revision in the git checkout {}", top.display()));
    if revision.is_empty() || revision.starts_with('-') {
        return Err(unknown());
    }
    let commit = git(&top, &["rev-parse", "--verify", "--quiet", &format!("{revision}^{{commit}}")])?;
    let commit = commit.map_err(|_| unknown())?.trim_end().to_owned();
    let name = format!("{revision} ({commit:.12})");
    let listed = git(&top, &["ls-tree", "-r", "-z", "--name-only", &commit, "kernels/cu", "kernels/ptx"])?;
    let listed = listed.map_err(|said| io(anyhow!("git cannot list the files of {name}: {said}")))?;
    let paths: Vec<&str> = listed.split('\0').filter(|path| !path.is_empty() && !path.contains('\n')).collect();
    if !paths.iter().any(|path| path.starts_with("kernels/cu/")) {
        return Err(Failure::new(ExitCode::Kernels, anyhow!("the revision {name} has no kernels/cu, so no kernels")));
    }
    let texts = contents(&top, &commit, &paths).with_context(|| format!("git cannot read {name}")).map_err(io)?;
    let below = |path: &str| path.trim_start_matches("kernels/").to_owned();
    Ok(KernelTree::new(name, paths.iter().map(|path| below(path)).zip(texts)))
}

/// What a git command prints; the inner error is what it said instead.
fn git(folder: &Path, arguments: &[&str]) -> Result<Result<String, String>, Failure> {
    let output = Command::new("git").arg("-C").arg(folder).args(arguments).output();
    let output = output.context("git cannot be run, and --against reads the revision through it").map_err(io)?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok(if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr).trim().to_owned()) })
}

/// The texts of files of a commit, in order, from one `git cat-file --batch`.
fn contents(top: &Path, commit: &str, paths: &[&str]) -> anyhow::Result<Vec<String>> {
    let mut child = Command::new("git")
        .arg("-C")
        .arg(top)
        .args(["cat-file", "--batch"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut input = child.stdin.take().context("no pipe to git")?;
    let mut output = BufReader::new(child.stdout.take().context("no pipe from git")?);
    let mut texts = Vec::with_capacity(paths.len());
    // One at a time: neither pipe can fill while the other end waits.
    for path in paths {
        writeln!(input, "{commit}:{path}")?;
        input.flush()?;
        let mut header = String::new();
        output.read_line(&mut header)?;
        let size = header.trim_end().rsplit_once(" blob ").and_then(|(_, size)| size.parse::<usize>().ok());
        let size = size.ok_or_else(|| anyhow!("{path}: {}", header.trim_end()))?;
        // The content ends with a newline of git's own.
        let mut bytes = vec![0; size + 1];
        output.read_exact(&mut bytes)?;
        bytes.pop();
        texts.push(String::from_utf8(bytes).with_context(|| format!("{path} is not text"))?);
    }
    drop(input);
    child.wait()?;
    Ok(texts)
}
