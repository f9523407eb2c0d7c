//! Who called: native frames, and those of a Python interpreter.
//!
//! A stack is written once and named by a hash. Where the thread is in an interpreter, its Python frames
//! and the caller's place decide whether the stack is known, and only then are the native frames walked:
//! so the launch of a graph in a loop costs no walk.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use graphproof_door::{Class, Kind, Stack, sys};

use super::frame::{FRAME_BYTES, Frame};
use super::record::{MOST, RECORDER};
use super::spin::Spin;
use super::{images, python};

/// Frames kept of a stack.
const DEPTH: usize = 96;
/// Stacks told apart by what is cheap to get.
const MOST_KEYS: usize = 1 << 16;

#[derive(Default)]
struct Known {
    /// Stack by key.
    keys: HashMap<u64, u64>,
    /// Stacks in the record.
    written: HashSet<u64>,
}

static KNOWN: Spin<Option<Known>> = Spin::new(None);

/// In a forked child: its record has none yet.
pub(super) fn reset() {
    KNOWN.reset(None);
}

/// The stack of a call, as its id; writes it if it is new.
pub(super) fn take(frame: &Frame) -> u64 {
    let python = python::frames();
    if python.is_empty() {
        python::tell_unknown();
    }
    // SAFETY: the entry point's caller pushed it, just below the stack arguments.
    let caller = unsafe { frame.stack.sub(1).read() };
    let key = (!python.is_empty()).then(|| hash(&(caller, &python)));
    if let Some(id) = key.and_then(|key| KNOWN.with(|known| known.as_ref()?.keys.get(&key).copied())) {
        return id;
    }
    let addresses = walk(frame);
    let id = hash(&(&addresses, &python)).max(1);
    let is_new = KNOWN.with(|known| {
        let known = known.get_or_insert_default();
        if let Some(key) = key.filter(|_| known.keys.len() < MOST_KEYS) {
            known.keys.insert(key, id);
        }
        known.written.insert(id)
    });
    if is_new {
        let stack = Stack { id, native: images::frames(&addresses), python: python::resolve(&python) };
        let room = 64
            + stack.python.iter().map(|frame| 16 + frame.file.len() + frame.function.len()).sum::<usize>()
            + 32 * stack.native.len();
        RECORDER.with(|writer, cursor| {
            writer.append(cursor, Class::Kept, Kind::Stack, sys::now(), room.min(MOST), |out| stack.write(out))
        });
    }
    id
}

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

unsafe extern "C" {
    fn _Unwind_Backtrace(
        each: unsafe extern "C" fn(*mut std::ffi::c_void, *mut std::ffi::c_void) -> i32,
        data: *mut std::ffi::c_void,
    ) -> i32;
    fn _Unwind_GetIP(context: *mut std::ffi::c_void) -> usize;
    fn _Unwind_GetCFA(context: *mut std::ffi::c_void) -> usize;
}

struct Walk {
    addresses: Vec<u64>,
    /// Frames of this library lie below.
    above: usize,
}

unsafe extern "C" fn each(context: *mut std::ffi::c_void, data: *mut std::ffi::c_void) -> i32 {
    const NO_REASON: i32 = 0;
    const END: i32 = 5;
    // SAFETY: the unwinder's context, and what `walk` gave.
    let (address, place, walk) =
        unsafe { (_Unwind_GetIP(context), _Unwind_GetCFA(context), &mut *data.cast::<Walk>()) };
    if place > walk.above {
        walk.addresses.push(address as u64);
    }
    if walk.addresses.len() < DEPTH { NO_REASON } else { END }
}

/// Return addresses of the caller and those around it.
fn walk(frame: &Frame) -> Vec<u64> {
    let mut walk =
        Walk { addresses: Vec::with_capacity(DEPTH), above: std::ptr::from_ref(frame).addr() + FRAME_BYTES + 16 };
    // SAFETY: the callback gets this, while the call lasts; it does not unwind.
    unsafe { _Unwind_Backtrace(each, (&raw mut walk).cast()) };
    walk.addresses
}
