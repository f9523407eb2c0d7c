//! The Python frames of the calling thread.
//!
//! Libraries release the interpreter's lock around most calls of the driver, and hold locks of their own
//! there: a memory allocator's, for one, which another thread that has the interpreter's lock may be waiting
//! for. So taking the lock here could block the program for ever, and asking the interpreter for a frame
//! without it is not allowed. But a thread's own frames cannot change while it is in here, they keep their
//! code objects alive, and what is read of a code object never changes. So the frames are read as they lie
//! in memory, without the lock, and without making an object; that holds for builds without that lock too. Where
//! they lie is known of CPython 3.10 to 3.12, and told by 3.13 to 3.15 themselves; of other interpreters no frames
//! are read, and the record says so.

use std::ffi::{CStr, c_char, c_void};
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, Ordering};

use graphproof_door::{PythonFrame, sys};

use super::layout::{Layout, Position, Text};
use super::record;

/// Frames kept of a stack.
const DEPTH: usize = 64;
/// Characters kept of a name.
const LENGTH: usize = 512;

/// A frame: its code object, and the position in its code, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Raw {
    code: usize,
    position: i32,
}

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
        let mut parts = text.to_str().ok()?.split(|c: char| !c.is_ascii_digit()).map(str::parse::<u32>);
        let (major, minor) = (parts.next()?.ok()?, parts.next()?.ok()?);
        Some(major << 24 | (minor & 0xff) << 16)
    })?;
    let runtime = symbol(c"_PyRuntime").map_or(std::ptr::null(), |place| place.cast_const().cast::<usize>());
    // SAFETY: null, or the interpreter's state.
    let Some(layout) = (unsafe { Layout::of(version, runtime) }) else {
        UNKNOWN.store(version, Ordering::Relaxed);
        return None;
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

/// Says once, in the record, that an interpreter is here whose frames are not read.
pub(super) fn tell_unknown() {
    static TOLD: AtomicBool = AtomicBool::new(false);
    let version = UNKNOWN.load(Ordering::Relaxed);
    if version != 0 && !TOLD.swap(true, Ordering::Relaxed) {
        let (major, minor) = (version >> 24, (version >> 16) & 0xff);
        record::note(&format!(
            "lines of Python: the frames of this Python, {major}.{minor}, are not known; those of CPython 3.10 to 3.15 are"
        ));
    }
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
    // SAFETY: the thread's own frames, which do not change while it is here, by the interpreter's layout.
    unsafe { walk(&python.layout, python.code_type, state) }
}

/// # Safety
/// `state` is the state of this thread in an interpreter of this layout, whose type of code objects is at
/// `code_type`.
unsafe fn walk(layout: &Layout, code_type: usize, state: *const u8) -> Vec<Raw> {
    let mut found = Vec::new();
    // SAFETY: the caller's.
    unsafe {
        let mut frame = word(state, layout.innermost);
        if let (Some(offset), false) = (layout.through, frame.is_null()) {
            frame = word(frame, offset);
        }
        let mut steps = 0;
        while !frame.is_null() && steps < 4 * DEPTH && found.len() < DEPTH {
            steps += 1;
            // The lowest bits of such a reference tell how it is counted.
            let code = word(frame, layout.code).map_addr(|address| address & !7);
            let is_shim = layout.shim.is_some_and(|(at, owner)| frame.add(at).read() >= owner);
            // Such frames may have something else there.
            if !is_shim && !code.is_null() && word(code, layout.object_type).addr() == code_type {
                let position = match layout.position {
                    Position::Index(at) => frame.add(at).cast::<i32>().read().saturating_mul(2),
                    Position::Pointer { at, code: first } => {
                        word(frame, at).addr().wrapping_sub(code.addr() + first) as i32
                    }
                    Position::OfThread { at, index, codes } => {
                        // The number of copies, then the copies.
                        let index = frame.add(index).cast::<i32>().read().max(0) as usize;
                        let first = word(word(code, codes), 8 * (1 + index));
                        word(frame, at).addr().wrapping_sub(first.addr()) as i32
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
/// `object` is null or a `PyUnicodeObject` of this layout.
unsafe fn text(object: *const u8, layout: Text) -> String {
    if object.is_null() {
        return String::new();
    }
    // SAFETY: the caller's.
    let (length, state) =
        unsafe { (word(object, layout.length).addr(), object.add(layout.state).cast::<u32>().read()) };
    let state = state >> layout.kind_bit;
    let (kind, is_compact, is_ascii) = (state & 7, state & 1 << 3 != 0, state & 1 << 4 != 0);
    if !is_compact {
        return "?".to_owned();
    }
    let (at, length) = (if is_ascii { layout.ascii } else { layout.others }, length.min(LENGTH));
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Memory by words of 8 bytes, which is made to look like an interpreter's.
    fn memory(words: &[(usize, usize)]) -> Box<[usize; 64]> {
        let mut memory = Box::new([0; 64]);
        words.iter().for_each(|&(offset, value)| memory[offset / 8] = value);
        memory
    }

    fn at(memory: &[usize; 64]) -> usize {
        memory.as_ptr().expose_provenance()
    }

    /// What a CPython 3.14 without the interpreter's lock says of itself.
    fn free_threaded() -> (u32, Box<[usize; 128]>) {
        let (version, mut told) = (0x030e_0af0, Box::new([0; 128]));
        let cookie = usize::from_le_bytes(*b"xdebugpy");
        let words = [(0, cookie), (1, version), (2, 1), (26, 80), (32, 8), (33, 0), (34, 56), (36, 74), (38, 76)];
        let rest = [(40, 128), (41, 136), (48, 216), (49, 200), (51, 24), (78, 48), (79, 32), (80, 56)];
        words.into_iter().chain(rest).for_each(|(word, value)| told[word] = value);
        (version as u32, told)
    }

    #[test]
    fn frames_whose_thread_has_a_copy_of_the_code_are_read() {
        let (version, told) = free_threaded();
        // SAFETY: as long as such a table is.
        let layout = unsafe { Layout::of(version, told.as_ptr()) }.expect("it is known");
        // SAFETY: as above.
        assert!(unsafe { Layout::of(version + 1, told.as_ptr()) }.is_none(), "another version's table");
        let (code_type, copies) = (0x7000, [memory(&[]), memory(&[])]);
        let list = memory(&[(0, 2), (8, at(&copies[0])), (16, at(&copies[1]))]);
        let code = memory(&[(24, code_type), (200, at(&list))]);
        // The outer frame runs the code as it is; the inner one, behind a frame that is no function's, its copy.
        let outer = memory(&[(0, at(&code) | 1), (56, at(&copies[0]) + 6)]);
        let shim = memory(&[(0, at(&code)), (8, at(&outer)), (72, 3 << 16)]);
        let inner = memory(&[(0, at(&code)), (8, at(&shim)), (56, at(&copies[1]) + 20), (72, 1 << 32)]);
        let state = memory(&[(80, at(&inner))]);
        // SAFETY: of that layout.
        let found = unsafe { walk(&layout, code_type, state.as_ptr().cast()) };
        let code = at(&code);
        assert_eq!(found, [Raw { code, position: 20 }, Raw { code, position: 6 }]);
    }

    #[test]
    fn names_are_read_whatever_their_characters() {
        let (version, told) = free_threaded();
        // SAFETY: as long as such a table is.
        let layout = unsafe { Layout::of(version, told.as_ptr()) }.expect("it is known").text;
        let word = |text: &[u8; 8]| usize::from_le_bytes(*text);
        // One byte a character, compact, ASCII; interned, which has a byte of its own.
        let ascii = memory(&[(32, 4), (48, 0x1903), (56, word(b"step\0\0\0\0"))]);
        // Two bytes a character, compact.
        let other = memory(&[(32, 2), (48, 0x0a00), (72, 0x0436_0448)]);
        // SAFETY: of that layout.
        let read = |memory: &[usize; 64]| unsafe { text(memory.as_ptr().cast(), layout) };
        assert_eq!((read(&ascii).as_str(), read(&other).as_str()), ("step", "шж"));
    }
}
