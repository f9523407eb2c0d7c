//! Where NVRTC may be.

use std::error::Error;
use std::path::{Path, PathBuf};

use libloading::os::unix;

use crate::checkout;

/// Folders that may hold the library, best first: the pinned one that `regenerate.py` put into the
/// checkout that the run stands in, the packages of an active virtual environment, then a toolkit.
pub(super) fn folders() -> Vec<PathBuf> {
    let mut folders = Vec::new();
    let here = std::env::current_dir().unwrap_or_default();
    if let Some(packages) = checkout::folders(&here).map(|folder| folder.join(".cuda/lib")).find(|path| path.is_dir()) {
        folders.extend(of_packages(&packages));
        if folders.is_empty() {
            folders.push(packages);
        }
    }
    if let Some(environment) = std::env::var_os("VIRTUAL_ENV") {
        folders.extend(of_packages(&PathBuf::from(environment).join("lib")));
    }
    for variable in ["CUDA_PATH", "CUDA_HOME"] {
        if let Some(toolkit) = std::env::var_os(variable) {
            folders.push(PathBuf::from(toolkit).join("lib64"));
        }
    }
    folders.push(PathBuf::from("/usr/local/cuda/lib64"));
    folders
}

/// The folders of NVRTC's packages for Python below `lib`.
fn of_packages(lib: &Path) -> Vec<PathBuf> {
    let inner =
        |python: PathBuf| ["cuda_nvrtc/lib", "cu13/lib"].map(|folder| python.join("site-packages/nvidia").join(folder));
    let folders = sorted_entries(lib, "python3").into_iter().flat_map(inner);
    folders.filter(|folder| folder.is_dir()).collect()
}

/// Entries of `folder` whose name starts with `prefix`, sorted; none if it cannot be read.
pub(super) fn sorted_entries(folder: &Path, prefix: &str) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix)))
        .collect();
    found.sort();
    found
}

/// Opens a library by path, or by name through the loader's own search.
pub(super) fn open(path: &Path) -> Result<unix::Library, String> {
    // SAFETY: NVRTC's initialisers are those of a C++ library without demands on the caller.
    unsafe { unix::Library::open(Some(path), unix::RTLD_NOW | unix::RTLD_LOCAL) }.map_err(|error| {
        // The loader's own words, which name the file, are in the source of the error.
        error.source().map_or_else(|| error.to_string(), ToString::to_string)
    })
}
