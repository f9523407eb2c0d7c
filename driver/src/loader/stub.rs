//! Makes this program's own entry points the process's `libcuda.so`.

use std::ffi::c_void;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsRawFd, FromRawFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::dl::Library;
use crate::abi::SYMBOLS;

static STUB: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/stub.so"));

static STUB_VERSIONED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/stub-1.so"));

/// The name by which most programs ask.
const VERSIONED: &str = "libcuda.so.1";

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
    let library = load(STUB)?;
    fill(library, &table())?;
    // This program has findings of its own to say it in.
    crate::record::keep_notes();
    *done = true;
    Ok(())
}

/// Makes this program's software driver answer to `libcuda.so.1` too, for a program into which others are
/// loaded that ask for the driver by that name, as Python packages do. The library is written into `folder`,
/// with a link by the other name: compilers link against it, and those who look for a file find it. Call it
/// after [`install_software`].
///
/// # Errors
/// Another library answers to the name already, or the file cannot be written or loaded.
pub fn install_for_others(folder: &Path) -> Result<PathBuf, LoadError> {
    if let Ok(loaded) = Library::open(VERSIONED, libc::RTLD_LAZY | libc::RTLD_LOCAL | libc::RTLD_NOLOAD) {
        let path = loaded.symbol(c"cuInit").and_then(super::dl::file_of);
        return Err(LoadError::AlreadyLoaded { path: path.unwrap_or_else(|| VERSIONED.into()) });
    }
    let file = folder.join(VERSIONED);
    std::fs::write(&file, STUB_VERSIONED)?;
    std::os::unix::fs::symlink(VERSIONED, folder.join(SONAME))?;
    let library = Library::open(&file, libc::RTLD_NOW | libc::RTLD_LOCAL).map_err(LoadError::Open)?;
    fill(library, &table())?;
    Ok(file)
}

/// Loads the library `stub`, made of `stub.rs` with other names, whose exports jump to `entries`: whoever asks
/// the linker for its SONAME from now on gets it.
///
/// # Errors
/// It cannot be loaded, or has another number of names.
pub fn install_stub(stub: &[u8], entries: &[*const c_void]) -> Result<(), LoadError> {
    fill(load(stub)?, entries)
}

/// The entry points that are linked into this program, in the order of the stub's names.
fn table() -> Vec<*const c_void> {
    SYMBOLS.iter().map(|symbol| symbol.function as *const c_void).collect()
}

fn fill(library: Library, table: &[*const c_void]) -> Result<(), LoadError> {
    let install = library.symbol(c"graphproof_stub_install").ok_or(LoadError::Mismatch)?;
    // SAFETY: the symbol of our own stub, with the type that it has there.
    let install: unsafe extern "C" fn(*const *const c_void, usize) -> bool =
        unsafe { std::mem::transmute(install.as_ptr()) };
    // SAFETY: as many addresses as are said; nobody else knows the library yet.
    if unsafe { install(table.as_ptr(), table.len()) } { Ok(()) } else { Err(LoadError::Mismatch) }
}

/// Loads the stub from memory, or from a temporary file where memory cannot be executed.
fn load(stub: &[u8]) -> Result<Library, LoadError> {
    let flags = libc::RTLD_NOW | libc::RTLD_LOCAL;
    if let Ok(file) = in_memory(stub)
        && let Ok(library) = Library::open(format!("/proc/self/fd/{}", file.as_raw_fd()), flags)
    {
        // The linker knows the library by this path: another that is loaded under it would be taken for it.
        std::mem::forget(file);
        return Ok(library);
    }
    let mut path = std::env::temp_dir();
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    path.push(format!("graphproof-{}-{number}-stub.so", std::process::id()));
    let mut file = File::options().write(true).create_new(true).open(&path)?;
    let written = file.write_all(stub).and_then(|()| file.sync_all());
    drop(file);
    // A library that was cut off does not fail to load; it crashes.
    let library = written.map_err(LoadError::from).and_then(|()| Library::open(&path, flags).map_err(LoadError::Open));
    // The mapping outlives the name.
    let removed = std::fs::remove_file(&path);
    let library = library?;
    removed?;
    Ok(library)
}

fn in_memory(stub: &[u8]) -> io::Result<File> {
    // SAFETY: a terminated name.
    let fd = unsafe { libc::memfd_create(c"libcuda.so".as_ptr(), libc::MFD_CLOEXEC) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a new descriptor that nobody else owns.
    let mut file = unsafe { File::from_raw_fd(fd) };
    file.write_all(stub)?;
    Ok(file)
}
