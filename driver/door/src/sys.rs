//! The few calls of the C library that a library in another's process needs.
//!
//! Declared here and not taken from a crate: the forwarding library is compiled by a build script, with
//! the compiler alone.

use std::ffi::{c_char, c_int, c_long, c_uint, c_void};
use std::ptr::NonNull;

/// `struct timespec`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Timespec {
    /// Whole seconds.
    pub seconds: i64,
    /// And nanoseconds.
    pub nanoseconds: c_long,
}

/// `PROT_READ`.
pub const PROT_READ: c_int = 1;
/// `PROT_WRITE`.
pub const PROT_WRITE: c_int = 2;
/// `MAP_SHARED`.
pub const MAP_SHARED: c_int = 1;
/// `MAP_PRIVATE`.
pub const MAP_PRIVATE: c_int = 2;
/// `MAP_ANONYMOUS`.
pub const MAP_ANONYMOUS: c_int = 0x20;
/// `MAP_NORESERVE`.
pub const MAP_NORESERVE: c_int = 0x4000;
/// `MADV_WIPEONFORK`.
pub const MADV_WIPEONFORK: c_int = 18;
const CLOCK_MONOTONIC: c_int = 1;
#[cfg(target_arch = "x86_64")]
const SYS_TGKILL: c_long = 234;
#[cfg(not(target_arch = "x86_64"))]
const SYS_TGKILL: c_long = 131;

unsafe extern "C" {
    /// `mmap`.
    pub fn mmap(at: *mut c_void, length: usize, protect: c_int, flags: c_int, fd: c_int, offset: i64) -> *mut c_void;
    /// `munmap`.
    pub fn munmap(at: *mut c_void, length: usize) -> c_int;
    /// `madvise`.
    pub fn madvise(at: *mut c_void, length: usize, advice: c_int) -> c_int;
    /// `pthread_atfork`.
    pub fn pthread_atfork(
        before: Option<unsafe extern "C" fn()>,
        parent: Option<unsafe extern "C" fn()>,
        child: Option<unsafe extern "C" fn()>,
    ) -> c_int;
    fn fallocate(fd: c_int, mode: c_int, offset: i64, length: i64) -> c_int;
    fn clock_gettime(clock: c_int, time: *mut Timespec) -> c_int;
    fn syscall(number: c_long, ...) -> c_long;
    fn gettid() -> c_int;
    fn pthread_self() -> *mut c_void;
    fn pthread_getname_np(thread: *mut c_void, name: *mut c_char, length: usize) -> c_int;
    /// `dlsym`.
    pub fn dlsym(handle: *mut c_void, name: *const c_char) -> *mut c_void;
    /// `dlopen`.
    pub fn dlopen(name: *const c_char, flags: c_int) -> *mut c_void;
    /// `dladdr`.
    pub fn dladdr(address: *const c_void, info: *mut DlInfo) -> c_int;
    /// `getauxval`.
    pub fn getauxval(kind: std::ffi::c_ulong) -> std::ffi::c_ulong;
    /// `sched_yield`.
    fn sched_yield() -> c_int;
}

/// `Dl_info`.
#[repr(C)]
pub struct DlInfo {
    /// File of the image.
    pub file: *const c_char,
    /// Where it is loaded.
    pub base: *mut c_void,
    /// The nearest exported symbol, or null.
    pub symbol: *const c_char,
    /// Its address.
    pub address: *mut c_void,
}

/// Nanoseconds of the clock that all processes of a machine share and that never goes back.
pub fn now() -> u64 {
    let mut time = Timespec { seconds: 0, nanoseconds: 0 };
    // SAFETY: a valid place for the result.
    unsafe { clock_gettime(CLOCK_MONOTONIC, &raw mut time) };
    time.seconds as u64 * 1_000_000_000 + time.nanoseconds as u64
}

/// Makes pages ready to be written, where the kernel can (Linux 5.14); else they are when they are touched.
pub fn populate(memory: NonNull<u8>, length: usize) {
    const MADV_POPULATE_WRITE: c_int = 23;
    // SAFETY: an advice: of mapped pages the content stays, of others it is refused.
    unsafe { madvise(memory.as_ptr().cast(), length, MADV_POPULATE_WRITE) };
}

/// The number of the calling thread.
pub fn thread() -> u32 {
    // SAFETY: takes nothing and cannot fail.
    unsafe { gettid() as u32 }
}

/// The name of the calling thread; empty if it has none.
pub fn thread_name() -> String {
    let mut name = [0u8; 64];
    // SAFETY: the calling thread's own identity, and a place of the length that is said.
    let failed = unsafe { pthread_getname_np(pthread_self(), name.as_mut_ptr().cast(), name.len()) };
    let end = name.iter().position(|&byte| byte == 0).unwrap_or(0);
    if failed == 0 { String::from_utf8_lossy(&name[..end]).into_owned() } else { String::new() }
}

/// Whether that thread of this process has not ended.
pub fn is_alive(thread: u32) -> bool {
    // SAFETY: signal 0 is never delivered; the call only looks.
    unsafe { syscall(SYS_TGKILL, std::process::id() as c_uint, thread as c_uint, 0) == 0 }
}

/// Makes room in the file for the bytes at `offset`; whether there is.
///
/// A file system without the call says nothing about its room: that counts as some.
pub fn reserve(file: &std::fs::File, offset: u64, length: u64) -> bool {
    use std::os::fd::AsRawFd;
    const EOPNOTSUPP: i32 = 95;
    // SAFETY: a file of ours, open for writing.
    let failed = unsafe { fallocate(file.as_raw_fd(), 0, offset as i64, length as i64) } != 0;
    !failed || std::io::Error::last_os_error().raw_os_error() == Some(EOPNOTSUPP)
}

/// Lets another thread run.
pub fn give_way() {
    // SAFETY: takes nothing.
    unsafe { sched_yield() };
}
