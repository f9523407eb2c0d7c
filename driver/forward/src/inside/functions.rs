//! Kernels: what the driver says of each when it is first used.

use std::cell::Cell;
use std::collections::{HashMap, HashSet};
use std::ffi::CStr;
use std::sync::atomic::{AtomicU64, Ordering};

use graphproof_door::{Class, Function, Kind, TAG_BYTES, sys};

use super::real;
use super::record::{MOST, RECORDER};
use super::spin::Spin;

/// Parameters that a kernel may have: no kernel has more bytes than 32,764.
const MOST_PARAMETERS: usize = 4096;

/// Offset and size of each parameter; `None` where the driver does not tell.
type Layout = Option<Box<[(u32, u32)]>>;

#[derive(Default)]
struct Known {
    /// By handle.
    layouts: Option<HashMap<u64, Layout>>,
    /// Handles that are kernels of a library.
    kernels: Option<HashSet<u64>>,
}

static KNOWN: Spin<Known> = Spin::new(Known { layouts: None, kernels: None });

/// Rises whenever [`KNOWN`] is emptied: what threads keep of it is void then.
static GENERATION: AtomicU64 = AtomicU64::new(1);

/// Functions that a thread remembers, each in the place that its handle gives: a loop launches a few.
const REMEMBERED: usize = 64;

thread_local! {
    /// A handle, and the generation in which it was known.
    static SEEN: [Cell<(u64, u64)>; REMEMBERED] = const { [const { Cell::new((0, 0)) }; REMEMBERED] };
}

/// Handles may come again for other functions.
pub(super) fn forget() {
    KNOWN.with(|known| *known = Known::default());
    GENERATION.fetch_add(1, Ordering::Release);
}

/// In a forked child: its record knows none yet.
pub(super) fn reset() {
    KNOWN.reset(Known::default());
    GENERATION.fetch_add(1, Ordering::Release);
}

/// The handle is one of a kernel and not of a function.
pub(super) fn note_kernel(handle: u64) {
    KNOWN.with(|known| known.kernels.get_or_insert_default().insert(handle));
}

/// A function is launched: at its first time the driver is asked what it is.
///
/// Takes no lock where this thread has launched it before.
#[inline]
pub(super) fn used(handle: u64) {
    // Before the table is looked at: what is emptied meanwhile is not remembered beyond that.
    let now = (handle, GENERATION.load(Ordering::Acquire));
    // Handles are addresses of structures of more than a cache line.
    let place = (handle >> 6 ^ handle >> 12) as usize % REMEMBERED;
    SEEN.with(|seen| {
        if seen[place].get() != now {
            look_up(handle);
            seen[place].set(now);
        }
    });
}

#[cold]
fn look_up(handle: u64) {
    let (seen, is_kernel) = KNOWN.with(|known| {
        let seen = known.layouts.get_or_insert_default().contains_key(&handle);
        (seen, !seen && known.kernels.get_or_insert_default().contains(&handle))
    });
    if !seen {
        first_use(handle, is_kernel);
    }
}

fn first_use(handle: u64, is_kernel: bool) {
    let mut function = Function { handle, is_kernel, ..Function::default() };
    function.name = match name(handle, is_kernel) {
        Some(name) => name,
        // A library may get its kernels by ways that are not seen.
        None => match name(handle, !is_kernel) {
            Some(name) => {
                function.is_kernel = !is_kernel;
                name
            }
            None => String::new(),
        },
    };
    function.parameters = parameter_layout(handle, function.is_kernel);
    if !function.is_kernel {
        // SAFETY: a function that was just launched, and a valid place for the result.
        unsafe { real::cuFuncGetModule(&raw mut function.module, handle) };
    }
    let layout = function.parameters.as_ref().map(|list| list.clone().into_boxed_slice());
    KNOWN.with(|known| known.layouts.get_or_insert_default().insert(handle, layout));
    RECORDER.with(|writer, cursor| {
        writer.append(cursor, Class::Kept, Kind::Function, sys::now(), MOST, |out| function.write(out))
    });
}

fn name(handle: u64, is_kernel: bool) -> Option<String> {
    let mut name = std::ptr::null();
    let ask = if is_kernel { real::cuKernelGetName } else { real::cuFuncGetName };
    // SAFETY: the driver validates handles of functions and kernels.
    let result = unsafe { ask(&raw mut name, handle) };
    // SAFETY: the driver's own string, which lives as long as the function.
    (result == Some(0) && !name.is_null()).then(|| unsafe { CStr::from_ptr(name) }.to_string_lossy().into_owned())
}

fn parameter_layout(handle: u64, is_kernel: bool) -> Option<Vec<(u32, u32)>> {
    let ask = if is_kernel { real::cuKernelGetParamInfo } else { real::cuFuncGetParamInfo };
    let mut parameters = Vec::new();
    while parameters.len() < MOST_PARAMETERS {
        let (mut offset, mut size) = (0, 0);
        // SAFETY: as above, and valid places for the results.
        match unsafe { ask(handle, parameters.len(), &raw mut offset, &raw mut size) } {
            Some(0) => parameters.push((offset as u32, size as u32)),
            // CUDA_ERROR_INVALID_VALUE: there are no more.
            Some(1) => return Some(parameters),
            _ => return None,
        }
    }
    Some(parameters)
}

/// The bytes of a launch's parameters, each at its offset; none where the driver does not tell the layout.
pub(super) fn parameters(function: u64, list: u64, extra: u64, bytes: &mut Vec<u8>) {
    if list != 0 {
        KNOWN.with(|known| {
            let Some(Some(layout)) = known.layouts.as_ref().and_then(|layouts| layouts.get(&function)) else { return };
            copy(layout, list, bytes);
        });
    } else if extra != 0 {
        buffer(extra, bytes);
    }
}

/// Copies each parameter to its offset.
fn copy(layout: &[(u32, u32)], list: u64, bytes: &mut Vec<u8>) {
    for (index, &(offset, size)) in layout.iter().enumerate() {
        let (offset, size) = (offset as usize, size as usize);
        let end = offset.saturating_add(size);
        if end > TAG_BYTES {
            break;
        }
        // SAFETY: the caller's list has an entry for each parameter of the function.
        let parameter = unsafe { (list as *const *const u8).add(index).read() };
        if parameter.is_null() {
            continue;
        }
        if bytes.len() < end {
            bytes.resize(end, 0);
        }
        // SAFETY: a parameter of that size, which the launch has read.
        unsafe { std::ptr::copy_nonoverlapping(parameter, bytes[offset..end].as_mut_ptr(), size) };
    }
}

/// A launch that gives one buffer: `CU_LAUNCH_PARAM_BUFFER_POINTER` and `CU_LAUNCH_PARAM_BUFFER_SIZE`.
fn buffer(extra: u64, bytes: &mut Vec<u8>) {
    const POINTER: u64 = 1;
    const SIZE: u64 = 2;
    let (mut at, mut pointer, mut size) = (extra as *const u64, 0, 0);
    for _ in 0..4 {
        // SAFETY: the caller's list, whose end is a null.
        let (key, value) = unsafe { (at.read(), at.add(1)) };
        match key {
            // SAFETY: a key is followed by its value.
            POINTER => pointer = unsafe { value.read() },
            // SAFETY: as above; the size is given by its address.
            SIZE => size = unsafe { (value.read() as *const usize).read() },
            _ => break,
        }
        at = at.wrapping_add(2);
    }
    if pointer != 0 {
        // SAFETY: the caller's buffer of that size.
        bytes.extend_from_slice(unsafe { std::slice::from_raw_parts(pointer as *const u8, size.min(TAG_BYTES)) });
    }
}

/// As [`parameters`], of a node of a graph.
pub(super) fn node_parameters(function: u64, list: u64, extra: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    used(function);
    parameters(function, list, extra, &mut bytes);
    bytes
}
