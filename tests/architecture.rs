//! ARCHITECTURE.md names places that exist.

use std::path::Path;

#[test]
fn its_paths_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(root.join("ARCHITECTURE.md")).expect("ARCHITECTURE.md");
    let joined = text.replace('\n', " ");
    let tops = ["driver", "harness", "kernels", "src", "tests", "docs", "snapshots", "python"];
    let paths: Vec<&str> = joined
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(|code| tops.iter().any(|top| code == top || code.starts_with(&format!("{top}/"))))
        .collect();
    assert!(paths.len() >= 30, "{paths:?}");
    let missing: Vec<&str> = paths.into_iter().filter(|path| !root.join(path).exists()).collect();
    assert!(missing.is_empty(), "not in the tree: {missing:?}");
}
