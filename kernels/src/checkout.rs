//! The checkout that a run stands in, where it holds the indexer's kernels.

use std::path::{Path, PathBuf};

use graphproof_harness::checkout::folders;

/// The nearest folder of the checkout around the current folder that holds the indexer's kernels.
pub fn root() -> Option<PathBuf> {
    let here = std::env::current_dir().ok()?;
    folders(&here).find(|folder| holds_kernels(folder)).map(Path::to_owned)
}

/// By either of two files that nothing else would have: where one is lost, the other still says whose
/// kernels these are, and the loss is an error.
fn holds_kernels(folder: &Path) -> bool {
    ["kernels/cu/options.txt", "kernels/ptx/manifest.json"].iter().any(|file| folder.join(file).is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_are_told_by_their_files() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        assert!(holds_kernels(root) && !holds_kernels(&root.join("kernels")));
    }
}
