//! Makes this program's own entry points the process's `libcuda.so`.

use std::ffi::c_void;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsRawFd, FromRawFd};
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::PoisonError;

use super::dl::Library;
use crate::abi::SYMBOLS;

static STUB: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/stub.so"));

/// The name by which cudarc asks first.
const SONAME: &str = "libcuda.so";

/// Why the software driver cannot be installed.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// Another library already answers to the name; whoever asked first keeps it.
    #[error("another libcuda is already loaded in this process: {}", path.display())]
    AlreadyLoaded {
        /// Its file.
        path: PathBuf,
    },
    /// The embedded library could not be written anywhere.
    #[error("the embedded driver library cannot be written to memory or to a temporary file: {0}")]
    Write(#[from] io::Error),
    /// The dynamic linker refuses it.
    #[error("the dynamic linker refuses the embedded driver library: {0}")]
    Open(String),
    /// The embedded library is not of this build.
    #[error("the embedded driver library does not fit this build")]
    Mismatch,
}

/// Makes this program's software driver the process's `libcuda.so`. Call it once, before the
/// first call of cudarc; a second call does nothing.
pub fn install_software() -> Result<(), LoadError> {
    static DONE: Mutex<bool> = Mutex::new(false);
    let mut done = DONE.lock().unwrap_or_else(PoisonError::into_inner);
    if *done {
        return Ok(());
    }
    if let Ok(loaded) = Library::open(SONAME, libc::RTLD_LAZY | libc::RTLD_LOCAL | libc::RTLD_NOLOAD) {
        let path = loaded.symbol(c"cuInit").and_then(super::dl::file_of);
        return Err(LoadError::AlreadyLoaded { path: path.unwrap_or_else(|| SONAME.into()) });
    }
    let library = load()?;
    let install = library.symbol(c"graphproof_stub_install").ok_or(LoadError::Mismatch)?;
    // SAFETY: the symbol of our own stub, with the type that it has there.
    let install: unsafe extern "C" fn(*const *const c_void, usize) -> bool =
        unsafe { std::mem::transmute(install.as_ptr()) };
    let table: Vec<*const c_void> = SYMBOLS.iter().map(|symbol| symbol.function as *const c_void).collect();
    // SAFETY: as many addresses as the stub has names; nobody else knows the library yet.
    if !unsafe { install(table.as_ptr(), table.len()) } {
        return Err(LoadError::Mismatch);
    }
    // This program has findings of its own to say it in.
    crate::record::keep_notes();
    *done = true;
    Ok(())
}

/// Loads the stub from memory, or from a temporary file where memory cannot be executed.
fn load() -> Result<Library, LoadError> {
    let flags = libc::RTLD_NOW | libc::RTLD_LOCAL;
    if let Ok(file) = in_memory()
        && let Ok(library) = Library::open(format!("/proc/self/fd/{}", file.as_raw_fd()), flags)
    {
        return Ok(library);
    }
    let mut path = std::env::temp_dir();
    path.push(format!("graphproof-{}-{SONAME}", std::process::id()));
    let mut file = File::options().write(true).create_new(true).open(&path)?;
    let written = file.write_all(STUB).and_then(|()| file.sync_all());
    drop(file);
    // A library that was cut off does not fail to load; it crashes.
    let library = written.map_err(LoadError::from).and_then(|()| Library::open(&path, flags).map_err(LoadError::Open));
    // The mapping outlives the name.
    let removed = std::fs::remove_file(&path);
    let library = library?;
    removed?;
    Ok(library)
}

fn in_memory() -> io::Result<File> {
    // SAFETY: a terminated name.
    let fd = unsafe { libc::memfd_create(c"libcuda.so".as_ptr(), libc::MFD_CLOEXEC) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a new descriptor that nobody else owns.
    let mut file = unsafe { File::from_raw_fd(fd) };
    file.write_all(STUB)?;
    Ok(file)
}
