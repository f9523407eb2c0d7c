//! Puts the library in front of the driver in this very process, and listens.

use std::ffi::{CStr, CString, c_void};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::ptr::NonNull;
use std::sync::atomic::AtomicBool;

use graphproof_door::{LISTEN, LISTEN_VERSION, Listen, Listener, sys};

use super::search::search_real;
use super::unpack::{Behind, ForwardError, Forwarder, file_of};

const RTLD_NOW: i32 = 2;
const RTLD_NOLOAD: i32 = 4;

/// A driver of this process whose calls are heard.
#[derive(Debug)]
pub struct Here {
    /// The driver behind the library.
    pub behind: Behind,
}

/// Why calls of this process are not heard.
#[derive(Debug, thiserror::Error)]
pub enum Unheard {
    /// A driver is loaded, and answers to the name.
    #[error("{} was loaded in this process before: start it under `graphproof trace --`", .0.display())]
    Loaded(PathBuf),
    /// The recorder in front of this process listens to nobody, or to somebody else.
    #[error("the recorder in front of this process is of another version, or is listened to already")]
    OtherVersion,
    /// The library cannot be put in front of the driver.
    #[error(transparent)]
    Forward(#[from] ForwardError),
    /// The loader refuses it.
    #[error("the loader refuses the recorder: {0}; a TMPDIR whose files may be executed helps where it is that")]
    Refused(String),
}

/// Puts the library in front of the driver that this process would get, and makes `each` hear its calls while
/// `on` is set. Whoever asks for `libcuda.so` or `libcuda.so.1` from now on is given the library. Where this
/// process runs under `graphproof trace`, the library is there already, and listened to.
///
/// `each` is as [`Listener`] says.
///
/// # Errors
/// The calls will not be heard, and why. No driver is loaded by this call then, except where the last step
/// failed, and what answers to the names is as before.
pub fn listen_here(on: &'static AtomicBool, each: Listener) -> Result<Here, Unheard> {
    for name in [c"libcuda.so.1", c"libcuda.so"] {
        if let Some(loaded) = open(name, RTLD_NOW | RTLD_NOLOAD) {
            return in_front_already(loaded, on, each);
        }
    }
    let behind = search_real()?;
    if is_recorder(&behind.path) {
        let library = open(c"libcuda.so.1", RTLD_NOW).ok_or_else(|| Unheard::Refused(last_error()))?;
        return in_front_already(library, on, each);
    }
    let folder = Folder::new()?;
    let forwarder = Forwarder::new(&folder.0, behind)?;
    let alias = forwarder.write_alias()?;
    let path = CString::new(alias.as_os_str().as_bytes()).map_err(|error| Unheard::Refused(error.to_string()))?;
    let library = open(&path, RTLD_NOW).ok_or_else(|| Unheard::Refused(last_error()))?;
    listen(library, on, each)?;
    Ok(Here { behind: forwarder.behind().clone() })
}

/// Gives the names back, so that another driver can have them: for a driver that turns out to have no device.
/// The library itself stays loaded, and nobody finds it any more by `libcuda.so`.
pub fn step_aside() {
    if let Some(library) = open(c"libcuda.so", RTLD_NOW | RTLD_NOLOAD) {
        // SAFETY: a handle that was just opened, and the one that `listen_here` left open.
        unsafe { (dlclose(library.as_ptr()), dlclose(library.as_ptr())) };
    }
}

fn in_front_already(library: NonNull<c_void>, on: &'static AtomicBool, each: Listener) -> Result<Here, Unheard> {
    let driver = symbol(library, c"cuInit").and_then(file_of).unwrap_or_else(|| PathBuf::from("a libcuda"));
    if symbol(library, LISTEN).is_none() {
        return Err(Unheard::Loaded(driver));
    }
    listen(library, on, each)?;
    Ok(Here { behind: Behind { path: driver, software: false } })
}

fn listen(library: NonNull<c_void>, on: &'static AtomicBool, each: Listener) -> Result<(), Unheard> {
    let function = symbol(library, LISTEN).ok_or(Unheard::OtherVersion)?;
    // SAFETY: the library's function of that name, whose first argument says its version.
    let function: Listen = unsafe { std::mem::transmute(function.as_ptr()) };
    // SAFETY: a flag that lives as long as the process; the caller vouches for `each`.
    if unsafe { function(LISTEN_VERSION, on, each) } { Ok(()) } else { Err(Unheard::OtherVersion) }
}

/// Whether a file is the recorder itself.
fn is_recorder(path: &Path) -> bool {
    let name = LISTEN.to_bytes();
    std::fs::read(path).is_ok_and(|bytes| {
        use object::{Object as _, ObjectSymbol as _};
        object::File::parse(&*bytes)
            .is_ok_and(|elf| elf.dynamic_symbols().any(|symbol| symbol.name_bytes().is_ok_and(|of| of == name)))
    })
}

/// A folder of this user's alone, which goes when the library is loaded: the mapping outlives the name.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Result<Self, ForwardError> {
        let (folder, id) = (std::env::temp_dir(), std::process::id());
        let path = folder.join(format!("graphproof-{id}-{}", sys::now()));
        match std::fs::DirBuilder::new().mode(0o700).create(&path) {
            Ok(()) => Ok(Self(path)),
            Err(source) => Err(ForwardError::Write { path, source }),
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Nothing depends on it any more.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

unsafe extern "C" {
    fn dlclose(handle: *mut c_void) -> i32;
    fn dlerror() -> *const std::ffi::c_char;
}

fn open(name: &CStr, flags: i32) -> Option<NonNull<c_void>> {
    // SAFETY: a terminated string; the initialisers of a driver and of the recorder may run in any process.
    NonNull::new(unsafe { sys::dlopen(name.as_ptr(), flags) })
}

fn symbol(library: NonNull<c_void>, name: &CStr) -> Option<NonNull<c_void>> {
    // SAFETY: a live handle and a terminated string.
    NonNull::new(unsafe { sys::dlsym(library.as_ptr(), name.as_ptr()) })
}

fn last_error() -> String {
    // SAFETY: the message is this thread's until its next call of the loader.
    let text = unsafe { dlerror() };
    if text.is_null() {
        return "it does not say why".to_owned();
    }
    // SAFETY: a terminated string.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}
