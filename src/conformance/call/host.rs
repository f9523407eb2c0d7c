//! What a case puts on the host's side of a stream: counters, gates, destructors and callbacks.

use std::ffi::c_void;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};

use super::api::Entry;
use super::names;

/// How often the counting host function, callback or destructor has run.
static RUNS: AtomicU64 = AtomicU64::new(0);
/// The result of the driver call that a host function made; -1 before.
static CALL_RESULT: AtomicI32 = AtomicI32::new(-1);
/// The recapture callback's statuses, in order, and the code it answers with.
static RECAPTURED: Mutex<Vec<u32>> = Mutex::new(Vec::new());

/// A latch that holds a host function, and so its stream, until the case opens it.
#[derive(Debug, Default)]
pub struct Gate {
    open: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    /// Lets everything through from now on.
    pub fn open(&self) {
        *self.open.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.opened.notify_all();
    }

    fn wait(&self) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        while !*open {
            open = self.opened.wait(open).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// The text of the embedded module, NUL-terminated.
pub fn ptx_text() -> u64 {
    concat!(include_str!("kernels.ptx"), "\0").as_ptr() as u64
}

/// The kernels of the embedded module with the sizes of their parameters in bytes.
pub const KERNELS: &[(&str, &[u32])] = &[("empty", &[]), ("store", &[8, 4]), ("add", &[8, 4]), ("copy", &[8, 8])];

/// How often the counting host function has run.
pub fn runs() -> u64 {
    RUNS.load(Ordering::SeqCst)
}

/// Counts from nothing again, and forgets the other answers of host functions.
pub fn forget() {
    RUNS.store(0, Ordering::SeqCst);
    CALL_RESULT.store(-1, Ordering::SeqCst);
    RECAPTURED.lock().unwrap_or_else(PoisonError::into_inner).clear();
}

/// The result of the call that a host function made, or `NONE`.
pub fn call_result() -> String {
    match CALL_RESULT.load(Ordering::SeqCst) {
        -1 => "NONE".into(),
        code => names::result_name(code),
    }
}

/// The statuses that the recapture callback got, or `NONE`.
pub fn recaptured() -> String {
    let seen = RECAPTURED.lock().unwrap_or_else(PoisonError::into_inner);
    if seen.is_empty() { "NONE".into() } else { seen.iter().map(u32::to_string).collect::<Vec<_>>().join(" ") }
}

/// The address and the user data of the host function that counts.
pub fn counting() -> (u64, u64) {
    (count as *const () as u64, 0)
}

/// The address and the user data of the host function that waits at a gate.
pub fn waiting(gate: &'static Gate) -> (u64, u64) {
    (wait as *const () as u64, std::ptr::from_ref(gate) as u64)
}

/// The address and the user data of the host function that calls the driver.
pub fn calling(entry: Entry) -> (u64, u64) {
    (call as *const () as u64, std::ptr::from_ref(Box::leak(Box::new(entry))) as u64)
}

/// The address of the stream callback that counts.
pub fn stream_callback() -> u64 {
    stream_count as *const () as u64
}

/// The address of a recapture callback that answers with a code: 0 to go on.
pub fn recapture_callback() -> u64 {
    recapture as *const () as u64
}

extern "C" fn count(_data: *mut c_void) {
    RUNS.fetch_add(1, Ordering::SeqCst);
}

extern "C" fn stream_count(_stream: *mut c_void, _status: i32, _data: *mut c_void) {
    RUNS.fetch_add(1, Ordering::SeqCst);
}

extern "C" fn wait(data: *mut c_void) {
    // SAFETY: `waiting` is the only source of this user data; gates live as long as the process.
    unsafe { &*data.cast::<Gate>() }.wait();
}

extern "C" fn call(data: *mut c_void) {
    let mut out = [0u64; 2];
    // SAFETY: `calling` is the only source of this user data: an entry point of `cuMemAlloc_v2`'s type.
    let code = unsafe { (*data.cast::<Entry>()).call(&[out.as_mut_ptr() as u64, 64]) };
    CALL_RESULT.store(code, Ordering::SeqCst);
}

extern "C" fn recapture(
    data: *mut c_void,
    _node: *mut c_void,
    _old: *const c_void,
    _new: *const c_void,
    status: u32,
) -> i32 {
    RECAPTURED.lock().unwrap_or_else(PoisonError::into_inner).push(status);
    data as usize as i32
}
