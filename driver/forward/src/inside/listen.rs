//! Who listens in this process: the gate hears its own calls as they are made, without a file.

use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

use graphproof_door::{Heard, LISTEN_VERSION, Listener};

use super::action::Action;
use super::arguments::{self, MOST};
use super::frame::Frame;
use super::hooks::stream_of;
use super::table::Info;
use super::{captures, light};

static ON: AtomicPtr<AtomicBool> = AtomicPtr::new(std::ptr::null_mut());
/// A [`Listener`], set before `ON` is.
static EACH: AtomicPtr<()> = AtomicPtr::new(std::ptr::null_mut());

/// [`graphproof_door::Listen`].
///
/// # Safety
/// As [`graphproof_door::Listen`] says.
#[cfg_attr(graphproof_library, unsafe(no_mangle))]
pub(super) unsafe extern "C" fn graphproof_listen(version: u32, on: *const AtomicBool, each: Listener) -> bool {
    if version != LISTEN_VERSION || on.is_null() || !ON.load(Ordering::Acquire).is_null() {
        return false;
    }
    EACH.store(each as *mut (), Ordering::Release);
    ON.store(on.cast_mut(), Ordering::SeqCst);
    light::look_closely();
    true
}

/// Whether somebody listens, now or later: captures are followed then.
#[inline]
pub(super) fn is_set() -> bool {
    !ON.load(Ordering::SeqCst).is_null()
}

/// Whether somebody listens now.
#[inline]
pub(super) fn is_on() -> bool {
    // SAFETY: null, or the listener's flag, which lives as long as the process.
    unsafe { ON.load(Ordering::Acquire).as_ref() }.is_some_and(|on| on.load(Ordering::Relaxed))
}

/// Whether a call is to be told: all are while somebody listens; always what writes a tensor map, and what makes or
/// ends memory. The maps and the memory of a graph may be older than the work that is listened to.
#[inline]
pub(super) fn wants(info: &Info) -> bool {
    let always = match info.action {
        Action::TensorMap => true,
        Action::KeepWithStack => info.name.starts_with("cuMem"),
        _ => false,
    };
    is_on() || always && is_set()
}

/// The capture status of a call's stream before it, where the driver may be asked for it.
pub(super) fn before(frame: &Frame, info: &Info) -> u8 {
    if captures::active() == 0 { Heard::byte(None) } else { status(stream_of(frame, info), info) }
}

fn status(stream: Option<u64>, info: &Info) -> u8 {
    let asked = stream.filter(|_| captures::active() != 0 && !info.name.ends_with("_ptsz"));
    Heard::byte(asked.and_then(captures::status))
}

/// Tells the listener of a call that returned `result`.
pub(super) fn tell(frame: &Frame, info: &'static Info, result: u32, ended: u64) {
    let each = EACH.load(Ordering::Acquire);
    if each.is_null() {
        return;
    }
    // SAFETY: what `graphproof_listen` was given.
    let each: Listener = unsafe { std::mem::transmute::<*mut (), Listener>(each) };
    let mut words = [0; MOST];
    let count = arguments::words(frame, info, &mut words);
    let stream = stream_of(frame, info);
    let gone = matches!(info.action, Action::DestroyStream | Action::DestroyContext);
    let call = Heard {
        name: info.name.as_ptr(),
        name_bytes: info.name.len(),
        stream: stream.unwrap_or(0),
        has_stream: stream.is_some(),
        began: frame.began,
        ended,
        words: words.as_ptr(),
        word_count: count,
        result,
        before: frame.capture,
        after: if gone { 0 } else { status(stream, info) },
    };
    // SAFETY: as graphproof_door::Listener says; the call lives until it returns.
    unsafe { each(&raw const call) };
}
