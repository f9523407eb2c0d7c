//! NVTX: what the program marks as a range is in the record.
//!
//! NVTX, which programs carry themselves, loads the library that `NVTX_INJECTION64_PATH` names and lets it
//! put functions of its own in place of the empty ones (nvtx3, `nvtxDetail/nvtxTypes.h`).

use std::ffi::{CStr, c_char, c_int, c_void};

use graphproof_door::{Class, Kind, Range, sys};

use super::hooks::guarded;
use super::record::RECORDER;

/// `NvtxExportTableCallbacks`.
#[repr(C)]
struct Callbacks {
    size: usize,
    table: Option<unsafe extern "C" fn(u32, *mut *const *mut *const c_void, *mut u32) -> c_int>,
}

/// `NVTX_ETID_CALLBACKS` and `NVTX_CB_MODULE_CORE`.
const CALLBACKS: u32 = 1;
const CORE: u32 = 1;
/// `NvtxCallbackIdCore`.
const MARK_EX: usize = 1;
const MARK_A: usize = 2;
const PUSH_EX: usize = 8;
const PUSH_A: usize = 9;
const POP: usize = 11;

/// `nvtxEventAttributes_v2`, as far as it is read.
#[repr(C)]
struct Attributes {
    version: u16,
    size: u16,
    category: u32,
    color_type: i32,
    color: u32,
    payload_type: i32,
    reserved: i32,
    payload: u64,
    message_type: i32,
    message: *const c_char,
}

/// `NVTX_MESSAGE_TYPE_ASCII`.
const ASCII: i32 = 1;
/// Bytes kept of a name.
const LENGTH: usize = 256;

thread_local! {
    static DEPTH: std::cell::Cell<c_int> = const { std::cell::Cell::new(0) };
}

fn write(range: &Range) {
    guarded(|| {
        RECORDER.with(|writer, cursor| {
            writer.append(cursor, Class::Kept, Kind::Range, sys::now(), LENGTH + 16, |out| range.write(out))
        });
    });
}

/// # Safety
/// Null or a terminated string.
unsafe fn text(message: *const c_char) -> String {
    if message.is_null() {
        return String::new();
    }
    // SAFETY: the caller's.
    let text = unsafe { CStr::from_ptr(message) }.to_string_lossy();
    text.chars().take(LENGTH / 4).collect()
}

/// # Safety
/// Null or the attributes of an event.
unsafe fn message(attributes: *const Attributes) -> String {
    // SAFETY: the caller's.
    match unsafe { attributes.as_ref() } {
        Some(event) if event.message_type == ASCII => {
            // SAFETY: of this type the message is a terminated string.
            unsafe { text(event.message) }
        }
        _ => String::new(),
    }
}

unsafe extern "C" fn push(message: *const c_char) -> c_int {
    // SAFETY: as NVTX says.
    write(&Range::Push(unsafe { text(message) }));
    DEPTH.replace(DEPTH.get() + 1)
}

unsafe extern "C" fn push_ex(attributes: *const Attributes) -> c_int {
    // SAFETY: as NVTX says.
    write(&Range::Push(unsafe { message(attributes) }));
    DEPTH.replace(DEPTH.get() + 1)
}

unsafe extern "C" fn pop() -> c_int {
    write(&Range::Pop);
    DEPTH.set((DEPTH.get() - 1).max(0));
    DEPTH.get()
}

unsafe extern "C" fn mark(message: *const c_char) {
    // SAFETY: as NVTX says.
    write(&Range::Mark(unsafe { text(message) }));
}

unsafe extern "C" fn mark_ex(attributes: *const Attributes) {
    // SAFETY: as NVTX says.
    write(&Range::Mark(unsafe { message(attributes) }));
}

/// What NVTX calls when it has loaded this library; 1 if it is content.
///
/// # Safety
/// `export` is NVTX's own function.
#[cfg_attr(graphproof_library, unsafe(no_mangle))]
#[allow(non_snake_case)]
unsafe extern "C" fn InitializeInjectionNvtx2(export: Option<unsafe extern "C" fn(u32) -> *const c_void>) -> c_int {
    let functions: [(usize, *const c_void); 5] = [
        (MARK_EX, mark_ex as *const () as *const c_void),
        (MARK_A, mark as *const () as *const c_void),
        (PUSH_EX, push_ex as *const () as *const c_void),
        (PUSH_A, push as *const () as *const c_void),
        (POP, pop as *const () as *const c_void),
    ];
    let Some(export) = export else { return 0 };
    // SAFETY: NVTX's functions, as its header declares them; a table is a list of places for functions,
    // and says how many there are.
    unsafe {
        let Some(callbacks) = export(CALLBACKS).cast::<Callbacks>().as_ref() else { return 0 };
        let Some(get) = callbacks.table.filter(|_| callbacks.size >= size_of::<Callbacks>()) else { return 0 };
        let (mut table, mut count) = (std::ptr::null(), 0);
        if get(CORE, &raw mut table, &raw mut count) == 0 || table.is_null() {
            return 0;
        }
        for (id, function) in functions {
            if id < count as usize
                && let Some(place) = table.add(id).read().as_mut()
            {
                *place = function;
            }
        }
    }
    1
}
