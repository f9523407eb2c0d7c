//! `cuGetProcAddress`: what the real driver answers, behind an entry point of ours.

use std::ffi::{CStr, c_char, c_void};

use super::arguments::nth;
use super::frame::Frame;
use super::table::{self, Info};

/// `CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM`.
const PER_THREAD: u64 = 2;

/// Replaces the address that a successful call gave.
pub(super) fn put_in_front(frame: &Frame, info: &Info) {
    let (symbol, place) = (nth(frame, info, 0) as *const c_char, nth(frame, info, 1) as *mut *const c_void);
    if symbol.is_null() || place.is_null() {
        return;
    }
    // SAFETY: a successful call has read the name and written the address.
    let (name, address) = unsafe { (CStr::from_ptr(symbol), place.read()) };
    if address.is_null() || table::is_entry(address) {
        return;
    }
    let name = name.to_string_lossy();
    let (version, flags) = (nth(frame, info, 2) as u32, nth(frame, info, 3));
    let choice = graphproof_api::select(&name, version, flags & PER_THREAD != 0).ok();
    let exported = choice.map_or_else(|| name.clone().into_owned(), graphproof_api::Choice::name);
    // The table's choice says whose signature it is; where the driver chose otherwise it must not be used.
    let row = choice.map(|choice| choice.function);
    if let Some(ours) = table::in_front_of(address, &name, &exported, row) {
        // SAFETY: as above.
        unsafe { place.write(ours) };
    }
}
