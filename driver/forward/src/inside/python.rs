//! The Python frames of the calling thread.
//!
//! Libraries release the interpreter's lock around most calls of the driver, and hold locks of their own
//! there: a memory allocator's, for one, which another thread that has the interpreter's lock may be waiting
//! for. So taking the lock here could block the program for ever, and asking the interpreter for a frame
//! without it is not allowed. But a thread's own frames cannot change while it is in here, they keep their
//! code objects alive, and what is read of a code object never changes. So the frames are read as they lie
//! in memory, without the lock, and without making an object. Where they lie is known of CPython 3.10 to
//! 3.12, and told by 3.13 itself; of other interpreters no frames are read.

use std::ffi::{CStr, c_char, c_void};
use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

use graphproof_door::{PythonFrame, sys};

/// Frames kept of a stack.
const DEPTH: usize = 64;
/// Characters kept of a name.
const LENGTH: usize = 512;

/// `FRAME_OWNED_BY_CSTACK`.
const OWNED_BY_C: u8 = 3;

/// A frame: its code object, and the position in its code, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Raw {
    code: usize,
    position: i32,
}

#[derive(Debug, Clone, Copy)]
enum Position {
    /// A number of instructions, of two bytes each.
    Index(usize),
    /// A pointer into the code, which begins at that offset of the code object.
    Pointer { at: usize, code: usize },
}

/// Offsets of an interpreter's structures.
#[derive(Debug, Clone, Copy)]
struct Layout {
    /// Of the innermost frame in the thread's state.
    innermost: usize,
    /// Whether that is a structure with the frame at an offset.
    through: Option<usize>,
    code: usize,
    previous: usize,
    position: Position,
    /// Of the mark of frames that stand between C and Python, and are no function's.
    shim: Option<usize>,
    file: usize,
    name: usize,
    /// Of the characters after a string's head: ASCII, and others.
    text: (usize, usize),
}

const LAYOUT_3_10: Layout = Layout {
    innermost: 24,
    through: None,
    code: 32,
    previous: 24,
    position: Position::Index(96),
    shim: None,
    file: 104,
    name: 112,
    text: (48, 72),
};
const LAYOUT_3_11: Layout = Layout {
    innermost: 56,
    through: Some(8),
    code: 32,
    previous: 48,
    position: Position::Pointer { at: 56, code: 184 },
    shim: None,
    file: 112,
    name: 128,
    text: (48, 72),
};
const LAYOUT_3_12: Layout = Layout {
    innermost: 56,
    through: Some(0),
    code: 0,
    previous: 8,
    position: Position::Pointer { at: 56, code: 192 },
    shim: Some(70),
    file: 112,
    name: 128,
    text: (40, 56),
};

/// The functions of the interpreter that are used: none of them needs its lock.
struct Python {
    layout: Layout,
    code_type: usize,
    is_initialised: unsafe extern "C" fn() -> i32,
    thread_state: unsafe extern "C" fn() -> *const u8,
    line: unsafe extern "C" fn(*const u8, i32) -> i32,
}

static PYTHON: AtomicPtr<Python> = AtomicPtr::new(std::ptr::null_mut());
/// The version of an interpreter whose frames are not read.
static UNKNOWN: AtomicU32 = AtomicU32::new(0);

fn symbol(name: &CStr) -> Option<*mut c_void> {
    // RTLD_DEFAULT: whatever the program has loaded.
    // SAFETY: a terminated string.
    let found = unsafe { sys::dlsym(std::ptr::null_mut(), name.as_ptr()) };
    (!found.is_null()).then_some(found)
}

/// Looks for an interpreter in this process. Called where the loader's lock is held already, or nothing is:
/// when this library is loaded, and when a capture begins.
pub(super) fn look() {
    let known = !PYTHON.load(Ordering::Acquire).is_null() || UNKNOWN.load(Ordering::Relaxed) != 0;
    if !known && let Some(python) = find() {
        PYTHON.store(Box::into_raw(Box::new(python)), Ordering::Release);
    }
}

fn find() -> Option<Python> {
    let version = symbol(c"Py_Version").map(|place| {
        // SAFETY: `const unsigned long Py_Version`, since 3.11.
        unsafe { place.cast::<u64>().read() as u32 }
    });
    let version = version.or_else(|| {
        let text: unsafe extern "C" fn() -> *const c_char =
            // SAFETY: `const char *Py_GetVersion(void)`.
            unsafe { std::mem::transmute(symbol(c"Py_GetVersion")?) };
        // SAFETY: takes nothing and gives a static string, such as "3.10.13 (main, ...".
        let text = unsafe { CStr::from_ptr(text()) };
        text.to_bytes().starts_with(b"3.10.").then_some(0x030a_0000)
    })?;
    let layout = match version >> 16 {
        0x030a => LAYOUT_3_10,
        0x030b => LAYOUT_3_11,
        0x030c => LAYOUT_3_12,
        0x030d => told_layout()?,
        _ => {
            UNKNOWN.store(version, Ordering::Relaxed);
            return None;
        }
    };
    // SAFETY: functions of the C API, with its types.
    unsafe {
        Some(Python {
            layout,
            code_type: symbol(c"PyCode_Type")?.addr(),
            is_initialised: std::mem::transmute::<*mut c_void, unsafe extern "C" fn() -> i32>(symbol(
                c"Py_IsInitialized",
            )?),
            thread_state: std::mem::transmute::<*mut c_void, unsafe extern "C" fn() -> *const u8>(symbol(
                c"PyGILState_GetThisThreadState",
            )?),
            line: std::mem::transmute::<*mut c_void, unsafe extern "C" fn(*const u8, i32) -> i32>(symbol(
                c"PyCode_Addr2Line",
            )?),
        })
    }
}

/// What CPython 3.13 says of itself at the start of its state (`_Py_DebugOffsets`).
fn told_layout() -> Option<Layout> {
    let words = symbol(c"_PyRuntime")?.cast::<usize>();
    // SAFETY: the structure is longer than that in this version.
    let word = |index: usize| unsafe { words.add(index).read() };
    let is_it = word(0) == usize::from_le_bytes(*b"xdebugpy");
    let free_threaded = word(2) != 0;
    (is_it && !free_threaded).then(|| Layout {
        innermost: word(23),
        through: None,
        code: word(30),
        previous: word(29),
        position: Position::Pointer { at: word(31), code: word(43) },
        shim: Some(word(33)),
        file: word(35),
        name: word(37),
        text: (40, 56),
    })
}

/// An interpreter is here whose frames are not read: its version, such as "3.14".
pub(super) fn unknown_version() -> Option<String> {
    let version = UNKNOWN.load(Ordering::Relaxed);
    (version != 0).then(|| format!("{}.{}", version >> 24, (version >> 16) & 0xff))
}

/// # Safety
/// `base` points to a structure with a word at `offset`.
unsafe fn word(base: *const u8, offset: usize) -> *const u8 {
    // SAFETY: the caller's.
    unsafe { base.add(offset).cast::<*const u8>().read_unaligned() }
}

/// The frames of the calling thread, innermost first; none where it is in no interpreter.
pub(super) fn frames() -> Vec<Raw> {
    // SAFETY: null, or a box that is never freed.
    let Some(python) = (unsafe { PYTHON.load(Ordering::Acquire).as_ref() }) else { return Vec::new() };
    // SAFETY: these functions need no lock of the interpreter.
    let state = unsafe { if (python.is_initialised)() == 0 { return Vec::new() } else { (python.thread_state)() } };
    if state.is_null() {
        return Vec::new();
    }
    let mut found = Vec::new();
    let layout = &python.layout;
    // SAFETY: the thread's own frames, which do not change while it is here, by the interpreter's layout.
    unsafe {
        let mut frame = word(state, layout.innermost);
        if let (Some(offset), false) = (layout.through, frame.is_null()) {
            frame = word(frame, offset);
        }
        let mut steps = 0;
        while !frame.is_null() && steps < 4 * DEPTH && found.len() < DEPTH {
            steps += 1;
            let code = word(frame, layout.code);
            let is_shim = layout.shim.is_some_and(|at| frame.add(at).read() == OWNED_BY_C);
            // Such frames may have something else there.
            if !is_shim && !code.is_null() && word(code, 8).addr() == python.code_type {
                let position = match layout.position {
                    Position::Index(at) => frame.add(at).cast::<i32>().read().saturating_mul(2),
                    Position::Pointer { at, code: first } => {
                        word(frame, at).addr().wrapping_sub(code.addr() + first) as i32
                    }
                };
                found.push(Raw { code: code.addr(), position });
            }
            frame = word(frame, layout.previous);
        }
    }
    found
}

/// Files, lines and functions of frames that were just read.
pub(super) fn resolve(frames: &[Raw]) -> Vec<PythonFrame> {
    // SAFETY: as in `frames`.
    let Some(python) = (unsafe { PYTHON.load(Ordering::Acquire).as_ref() }) else { return Vec::new() };
    let resolve = |frame: &Raw| {
        let code = std::ptr::with_exposed_provenance::<u8>(frame.code);
        // SAFETY: a code object that a frame of this thread holds, by the interpreter's layout. Its line
        // table is read only.
        unsafe {
            PythonFrame {
                file: text(word(code, python.layout.file), python.layout.text),
                line: (python.line)(code, frame.position).max(0) as u32,
                function: text(word(code, python.layout.name), python.layout.text),
            }
        }
    };
    frames.iter().map(resolve).collect()
}

/// # Safety
/// `object` is null or a `PyUnicodeObject`, whose characters begin at these offsets.
unsafe fn text(object: *const u8, offsets: (usize, usize)) -> String {
    const LENGTH_AT: usize = 16;
    const STATE_AT: usize = 32;
    if object.is_null() {
        return String::new();
    }
    // SAFETY: the caller's.
    let (length, state) = unsafe { (word(object, LENGTH_AT).addr(), object.add(STATE_AT).cast::<u32>().read()) };
    let (kind, is_compact, is_ascii) = ((state >> 2) & 7, state & 1 << 5 != 0, state & 1 << 6 != 0);
    if !is_compact {
        return "?".to_owned();
    }
    let (at, length) = (if is_ascii { offsets.0 } else { offsets.1 }, length.min(LENGTH));
    // SAFETY: as many characters of that kind follow the head.
    let character = |index: usize| unsafe {
        let data = object.add(at);
        match kind {
            1 => u32::from(data.add(index).read()),
            2 => u32::from(data.cast::<u16>().add(index).read()),
            _ => data.cast::<u32>().add(index).read(),
        }
    };
    (0..length).map(|index| char::from_u32(character(index)).unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
}
