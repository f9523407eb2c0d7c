//! Checkouts that hold the present kernels, to be changed by a test.
#![allow(dead_code, reason = "each test binary uses its own part")]

use std::path::Path;
use std::process::Command;

use graphproof_kernels::ptx::sha256;

/// Runs git in `folder`.
pub fn git(folder: &Path, arguments: &[&str]) {
    let mut git = Command::new("git");
    git.args(["-c", "user.name=test", "-c", "user.email=test@example.org", "-c", "commit.gpgsign=false"]);
    let output = git.args(arguments).current_dir(folder).output().expect("git runs");
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Copies the present kernels, with their host code, and the compiler if it is installed, to `to`.
pub fn copy_kernels(to: &Path) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for part in ["cu", "ptx", "src"] {
        copy(&root.join("kernels").join(part), &to.join("kernels").join(part));
    }
    if root.join(".cuda").is_dir() {
        std::os::unix::fs::symlink(root.join(".cuda"), to.join(".cuda")).expect("a link to the compiler");
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("the kernels").flatten() {
        if entry.path().is_dir() {
            copy(&entry.path(), &to.join(entry.file_name()));
        } else {
            std::fs::copy(entry.path(), to.join(entry.file_name())).expect("copied");
        }
    }
}

/// A checkout that holds the present kernels, with the tag `now`.
pub fn checkout() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    copy_kernels(folder.path());
    std::fs::write(folder.path().join(".gitignore"), "/.cuda\n*.json\n!manifest.json\n").expect("written");
    git(folder.path(), &["init", "--quiet"]);
    commit(folder.path(), "now");
    folder
}

/// Commits everything under a tag.
pub fn commit(folder: &Path, tag: &str) {
    git(folder, &["add", "--all"]);
    git(folder, &["commit", "--quiet", "--message", tag]);
    git(folder, &["tag", tag]);
}

/// Checks a tag out.
pub fn back_to(folder: &Path, tag: &str) {
    git(folder, &["checkout", "--quiet", tag]);
}

/// Changes a file below `kernels/`, and its hash in the manifest if `fitting`.
pub fn edit(folder: &Path, file: &str, fitting: bool, change: impl FnOnce(&str) -> String) {
    let path = folder.join("kernels").join(file);
    let before = std::fs::read_to_string(&path).expect("readable");
    let after = change(&before);
    assert_ne!(before, after);
    std::fs::write(&path, &after).expect("written");
    if fitting {
        let manifest = folder.join("kernels/ptx/manifest.json");
        let text = std::fs::read_to_string(&manifest).expect("readable");
        let (old, new) = (sha256(before.as_bytes()), sha256(after.as_bytes()));
        assert!(text.contains(&old), "the manifest knows {file}");
        std::fs::write(&manifest, text.replace(&old, &new)).expect("written");
    }
}
