//! The kernels of a git revision, read without touching a checkout.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use crate::receipt::git_in;
use anyhow::{Context as _, anyhow};
use graphproof_harness::exit_code::ExitCode;
use graphproof_kernels::{KernelTree, Origin};

use crate::suite::SuiteError;

/// Reads `kernels/cu` and `kernels/ptx` of `revision` in the checkout around the current folder, which
/// must be the one that the [present kernels](KernelTree::present) are of.
///
/// # Errors
/// No git, no checkout, no such revision, no kernels in it, or present kernels of another tree.
pub fn kernels(revision: &str) -> Result<KernelTree, SuiteError> {
    let usage = |error| SuiteError::new(ExitCode::Usage, error);
    let no_kernels = |error| SuiteError::new(ExitCode::Kernels, error);
    let present = KernelTree::present();
    let root = match present.origin() {
        Origin::Checkout(root) => root.as_path(),
        _ => Path::new("."),
    };
    let top = git(root, &["rev-parse", "--show-toplevel"])?.map_err(|said| {
        usage(anyhow!("--against {revision} needs the git checkout that has it, and there is none here: {said}"))
    })?;
    let top = PathBuf::from(top.trim_end_matches('\n'));
    let unknown =
        || usage(anyhow!("--against {revision}: there is no such revision in the git checkout {}", top.display()));
    if revision.is_empty() || revision.starts_with('-') {
        return Err(unknown());
    }
    let commit = git(&top, &["rev-parse", "--verify", "--quiet", &format!("{revision}^{{commit}}")])?;
    let commit = commit.map_err(|_| unknown())?.trim_end().to_owned();
    let name = format!("{revision} ({commit:.12})");
    // The kernels may lie deeper in the checkout: where they are now is where they are looked for.
    let folder =
        root.canonicalize().ok().and_then(|root| root.strip_prefix(top.canonicalize().ok()?).ok().map(Path::to_owned));
    let below = match (present.origin(), folder) {
        (Origin::Checkout(_), Some(folder)) => folder.join("kernels"),
        _ => PathBuf::from("kernels"),
    };
    let below = below.to_string_lossy();
    let (cu, ptx) = (format!("{below}/cu"), format!("{below}/ptx"));
    let listed = git(&top, &["ls-tree", "-r", "-z", "--name-only", &commit, &cu, &ptx])?;
    let listed = listed.map_err(|said| io(anyhow!("git cannot list the files of {name}: {said}")))?;
    let paths: Vec<&str> = listed.split('\0').filter(|path| !path.is_empty() && !path.contains('\n')).collect();
    if !paths.iter().any(|path| path.starts_with(&format!("{cu}/"))) {
        return Err(no_kernels(anyhow!("the revision {name} has no {cu}, so no kernels")));
    }
    if *present.origin() == Origin::BuiltIn {
        return Err(no_kernels(anyhow!(
            "--against {revision}: the present kernels are built into the program, as the checkout {} holds none now; \
             kernels of two trees are not compared",
            top.display()
        )));
    }
    let texts = contents(&top, &commit, &paths).with_context(|| format!("git cannot read {name}")).map_err(io)?;
    let inner = |path: &str| path.strip_prefix(&*below).unwrap_or(path).trim_start_matches('/').to_owned();
    Ok(KernelTree::of_revision(name, paths.iter().map(|path| inner(path)).zip(texts)))
}

fn io(error: anyhow::Error) -> SuiteError {
    SuiteError::new(ExitCode::Io, error)
}

/// What a git command prints; the inner error is what it said instead.
fn git(folder: &Path, arguments: &[&str]) -> Result<Result<String, String>, SuiteError> {
    let output = git_in(folder).args(arguments).output();
    let output = output.context("git cannot be run, and --against reads the revision through it").map_err(io)?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok(if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr).trim().to_owned()) })
}

/// The texts of files of a commit, in order, from one `git cat-file --batch`.
fn contents(top: &Path, commit: &str, paths: &[&str]) -> anyhow::Result<Vec<String>> {
    let mut child = git_in(top).args(["cat-file", "--batch"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
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
