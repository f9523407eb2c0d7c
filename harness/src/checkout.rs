//! The checkout that a run stands in.

use std::path::Path;

/// `folder` and the folders above it, up to the root of its git checkout. Outside a checkout only
/// `folder` itself: what lies above it is somebody else's.
pub fn folders(folder: &Path) -> impl Iterator<Item = &Path> {
    let above = folder.ancestors().position(|above| above.join(".git").exists()).unwrap_or(0);
    folder.ancestors().take(above + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_search_ends_at_the_root_of_the_checkout() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        assert_eq!(folders(&root.join("harness/src")).count(), 3, "harness/src, harness and the root");
        assert_eq!(folders(Path::new("/nonesuch/a/b")).collect::<Vec<_>>(), [Path::new("/nonesuch/a/b")]);
    }
}
