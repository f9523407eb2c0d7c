//! The checkout that a run stands in.

use std::path::{Path, PathBuf};

/// `folder` and the folders above it, up to the root of its git checkout. Outside a checkout only
/// `folder` itself: what lies above it is somebody else's.
pub fn folders(folder: &Path) -> impl Iterator<Item = &Path> {
    let above = folder.ancestors().position(|above| above.join(".git").exists()).unwrap_or(0);
    folder.ancestors().take(above + 1)
}

/// The nearest of those folders of the current folder that holds the indexer's kernels.
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
    fn the_search_ends_at_the_root_of_the_checkout() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let found: Vec<&Path> = folders(&root.join("kernels/src")).map(|_| root).collect();
        assert_eq!(found.len(), 3, "kernels/src, kernels and the root");
        assert_eq!(folders(Path::new("/nonesuch/a/b")).collect::<Vec<_>>(), [Path::new("/nonesuch/a/b")]);
        assert!(holds_kernels(root) && !holds_kernels(&root.join("kernels")));
    }
}
