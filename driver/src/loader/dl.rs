//! The few calls of the dynamic linker that loading needs.

use std::ffi::{CStr, CString, OsStr, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::ptr::NonNull;

/// A loaded library. Dropping it does not unload it: a driver is never unloaded.
#[derive(Debug, Clone, Copy)]
pub(super) struct Library(NonNull<c_void>);

impl Library {
    /// `dlopen`.
    pub fn open(name: impl AsRef<OsStr>, flags: i32) -> Result<Self, String> {
        let name = CString::new(name.as_ref().as_bytes()).map_err(|_| "the name contains a NUL".to_owned())?;
        // SAFETY: a terminated string. Loading runs the library's initialisers, which is what the
        // caller asks for.
        let handle = unsafe { libc::dlopen(name.as_ptr(), flags) };
        NonNull::new(handle).map(Self).ok_or_else(last_error)
    }

    /// `dlsym`.
    pub fn symbol(self, name: &CStr) -> Option<NonNull<c_void>> {
        // SAFETY: a live handle and a terminated string.
        NonNull::new(unsafe { libc::dlsym(self.0.as_ptr(), name.as_ptr()) })
    }
}

/// The file that an address was loaded from.
pub(super) fn file_of(address: NonNull<c_void>) -> Option<PathBuf> {
    let mut info = std::mem::MaybeUninit::<libc::Dl_info>::zeroed();
    // SAFETY: the linker only looks the address up, and fills the structure in.
    let found = unsafe { libc::dladdr(address.as_ptr(), info.as_mut_ptr()) };
    // SAFETY: zeroed at least.
    let info = unsafe { info.assume_init() };
    if found == 0 || info.dli_fname.is_null() {
        return None;
    }
    // SAFETY: a terminated string of the linker, which lives as long as the library.
    let name = unsafe { CStr::from_ptr(info.dli_fname) };
    Some(PathBuf::from(OsStr::from_bytes(name.to_bytes())))
}

fn last_error() -> String {
    // SAFETY: the message belongs to this thread until its next call of the linker.
    let message = unsafe { libc::dlerror() };
    if message.is_null() {
        return "unknown error of the dynamic linker".to_owned();
    }
    // SAFETY: a terminated string.
    unsafe { CStr::from_ptr(message) }.to_string_lossy().into_owned()
}
