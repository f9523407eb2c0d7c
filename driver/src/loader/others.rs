//! Whether a process has a second driver: each is a world of its own, and handles of one mean nothing to the
//! other.

use std::ffi::c_void;
use std::path::{Path, PathBuf};
use std::ptr::NonNull;

use super::dl::file_of;
use crate::abi::cuInit;
use crate::record;

/// Set by who stands in front of this library on purpose.
const IN_FRONT: &str = "GRAPHPROOF_TRACE_SOFTWARE";

fn is_driver(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    name.starts_with("libcuda.so") || name.starts_with("libgraphproof_driver")
}

/// Tells of another driver beside this library. In a program that this driver is linked into there is nothing to
/// tell: it loads others to look at them.
pub fn tell_of_others() {
    let own = NonNull::new(cuInit as *mut c_void).and_then(file_of).filter(|own| is_driver(own));
    let Some(own) = own.and_then(|own| own.canonicalize().ok()) else { return };
    if std::env::var_os(IN_FRONT).is_some() {
        return;
    }
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let files = maps.lines().filter_map(|line| line.find('/').map(|at| PathBuf::from(&line[at..])));
    let other = files.filter(|file| is_driver(file)).find(|file| file.canonicalize().is_ok_and(|file| file != own));
    if let Some(other) = other {
        record::tell(format!(
            "two libcudas are loaded in this process, {} and {}: what one makes the other does not know; \
             put one folder first in LD_LIBRARY_PATH, with libcuda.so a link to its libcuda.so.1",
            own.display(),
            other.display()
        ));
    }
}
