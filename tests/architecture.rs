//! ARCHITECTURE.md names places that exist, and each crate is built of what lies in its folder.

use std::fs;
use std::path::{Component, Path, PathBuf};

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

/// What `cargo package` leaves out would be missing where a crate is built from its package. Links into other folders
/// are followed, and what they lead to is packed.
#[test]
fn a_package_is_built_of_its_own_files() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let manifest = fs::read_to_string(root.join("Cargo.toml")).expect("a file");
    let workspace: toml::Table = toml::from_str(&manifest).expect("TOML");
    let members = workspace["workspace"]["members"].as_array().expect("members").iter();
    let crates: Vec<PathBuf> = members.map(|member| absolute(&root.join(member.as_str().expect("a path")))).collect();
    assert!(crates.len() >= 15);
    let mut outside = Vec::new();
    for folder in &crates {
        let mut sources = vec![folder.join("build.rs")];
        list(&folder.join("src"), &mut sources);
        for source in sources {
            let Ok(text) = fs::read_to_string(&source) else { continue };
            let named = ["include!(\"", "include_str!(\"", "include_bytes!(\"", "#[path = \""]
                .into_iter()
                .flat_map(|before| text.split(before).skip(1))
                .filter_map(|rest| rest.split('"').next());
            // A build script runs in the folder of its crate.
            let run = source
                .ends_with("build.rs")
                .then(|| text.split("\"../").skip(1).filter_map(|rest| rest.split('"').next()));
            let named = named.map(|name| source.parent().expect("a folder").join(name));
            let run = run.into_iter().flatten().map(|name| folder.join("..").join(name));
            let leaves = |path: &PathBuf| {
                let nearest =
                    crates.iter().filter(|other| path.starts_with(other)).max_by_key(|other| other.as_os_str().len());
                nearest != Some(folder)
            };
            outside
                .extend(named.chain(run).map(|path| absolute(&path)).filter(leaves).map(|path| (source.clone(), path)));
        }
    }
    assert!(outside.is_empty(), "link these into the crate's own folder: {outside:?}");
}

/// Without `.` and `..`; links stay what they are.
fn absolute(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::new(), |mut whole, part| {
        match part {
            Component::ParentDir => {
                whole.pop();
            }
            Component::CurDir => {}
            part => whole.push(part),
        }
        whole
    })
}

fn list(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            list(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}
