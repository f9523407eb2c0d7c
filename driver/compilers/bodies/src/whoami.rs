//! The name that this file was loaded under, and the real library of that name.

use std::ffi::{CStr, c_void};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// See [`look_in`].
static PACKAGES: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// Folders with Python packages, `sys.path` for one, in which the real libraries are looked for too. Called by a
/// program that carries the bodies and knows them: the others guess from the program's name.
pub fn look_in(packages: Vec<PathBuf>) {
    *PACKAGES.lock().unwrap_or_else(PoisonError::into_inner) = packages;
}

/// This library's own file.
pub(crate) fn own_file() -> Option<PathBuf> {
    // SAFETY: plain old data, for which zero is a value.
    let mut info: libc::Dl_info = unsafe { std::mem::zeroed() };
    // SAFETY: an address of this library, and a place for the result.
    let found = unsafe { libc::dladdr((own_file as *const ()).cast::<c_void>(), &raw mut info) };
    if found == 0 || info.dli_fname.is_null() {
        return None;
    }
    // SAFETY: the linker's own name of a loaded file.
    let name = unsafe { CStr::from_ptr(info.dli_fname) }.to_str().ok()?;
    Some(PathBuf::from(name))
}

/// The major version of CUDA that this file is a library of; 13 where its name does not say it.
pub(crate) fn major() -> u32 {
    let file = own_file();
    let name = file.as_deref().and_then(Path::file_name).and_then(|name| name.to_str()).unwrap_or_default();
    name.rsplit('.').find_map(|part| part.parse().ok()).unwrap_or(13)
}

/// Where the real `name` may be, in order: named by `variable`, in the folders of `LD_LIBRARY_PATH`, in the
/// packages that the program named, in those of the Python that runs it, in a CUDA installation.
pub(crate) fn candidates(name: &str, variable: &str) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = std::env::var_os(variable).map(PathBuf::from).into_iter().collect();
    let own = own_file().and_then(|file| file.parent()?.canonicalize().ok());
    let mut folders: Vec<PathBuf> =
        std::env::var_os("LD_LIBRARY_PATH").map(|paths| std::env::split_paths(&paths).collect()).unwrap_or_default();
    let named = PACKAGES.lock().unwrap_or_else(PoisonError::into_inner).clone();
    for packages in named.into_iter().chain(prefixes().iter().flat_map(|prefix| python_packages(prefix))) {
        for folder in ["nvidia/cu13/lib", "nvidia/cuda_nvrtc/lib", "nvidia/cu12/lib"] {
            folders.push(packages.join(folder));
        }
    }
    let toolkit = std::env::var_os("CUDA_HOME").map_or_else(|| PathBuf::from("/usr/local/cuda"), PathBuf::from);
    folders.push(toolkit.join("lib64"));
    let files = folders.into_iter().filter(|folder| folder.canonicalize().ok() != own).map(|folder| folder.join(name));
    found.extend(files.filter(|file| file.is_file()));
    found
}

/// Where the program's Python, if it is one, may have its packages.
fn prefixes() -> Vec<PathBuf> {
    let command = std::fs::read("/proc/self/cmdline").unwrap_or_default();
    let first = command.split(|&byte| byte == 0).next().unwrap_or_default();
    let first = PathBuf::from(String::from_utf8_lossy(first).into_owned());
    let on_path = |name: &Path| {
        let path = std::env::var_os("PATH")?;
        std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
    };
    let named = if first.components().count() > 1 { Some(first) } else { on_path(&first) };
    let programs = named.into_iter().chain(std::fs::read_link("/proc/self/exe").ok());
    let of_programs = programs.filter_map(|file| Some(file.parent()?.parent()?.to_path_buf()));
    std::env::var_os("VIRTUAL_ENV").map(PathBuf::from).into_iter().chain(of_programs).collect()
}

fn python_packages(prefix: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(prefix.join("lib")) else { return Vec::new() };
    let pythons = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with("python3")));
    pythons.flat_map(|python| [python.join("site-packages"), python.join("dist-packages")]).collect()
}

/// The capability of an architecture option's value: of `sm_90a` and `compute_90a`, 90.
pub(crate) fn capability(value: &str) -> Option<u32> {
    let digits = value.strip_prefix("sm_").or_else(|| value.strip_prefix("compute_"))?;
    digits.trim_end_matches(|c: char| c.is_ascii_alphabetic()).parse().ok()
}
