//! Which program or library an address lies in.

use std::ffi::{CStr, c_char, c_int, c_void};

use graphproof_door::{Class, Frame, Image, Kind, sys};

use super::record::RECORDER;
use super::spin::Spin;

struct Loaded {
    id: u32,
    start: u64,
    end: u64,
    base: u64,
    path: String,
    told: bool,
}

static LOADED: Spin<Vec<Loaded>> = Spin::new(Vec::new());

/// In a forked child: its record knows none yet.
pub(super) fn reset() {
    LOADED.reset(Vec::new());
}

#[repr(C)]
struct ProgramHeader {
    kind: u32,
    flags: u32,
    offset: u64,
    address: u64,
    physical: u64,
    in_file: u64,
    in_memory: u64,
    align: u64,
}

#[repr(C)]
struct Info {
    base: u64,
    name: *const c_char,
    headers: *const ProgramHeader,
    count: u16,
}

unsafe extern "C" {
    fn dl_iterate_phdr(
        each: unsafe extern "C" fn(*const Info, usize, *mut c_void) -> c_int,
        data: *mut c_void,
    ) -> c_int;
}

unsafe extern "C" fn each(info: *const Info, _size: usize, data: *mut c_void) -> c_int {
    const LOAD: u32 = 1;
    // SAFETY: the C library's structure, and the list that `refresh` gave.
    let (info, list) = unsafe { (&*info, &mut *data.cast::<Vec<Loaded>>()) };
    if info.headers.is_null() {
        return 0;
    }
    // SAFETY: as many headers as it says.
    let headers = unsafe { std::slice::from_raw_parts(info.headers, usize::from(info.count)) };
    let loads = || headers.iter().filter(|header| header.kind == LOAD);
    let start = loads().map(|header| info.base.wrapping_add(header.address)).min();
    let end = loads().map(|header| info.base.wrapping_add(header.address).wrapping_add(header.in_memory)).max();
    let (Some(start), Some(end)) = (start, end) else { return 0 };
    let path = if info.name.is_null() {
        String::new()
    } else {
        // SAFETY: a terminated string of the loader.
        unsafe { CStr::from_ptr(info.name) }.to_string_lossy().into_owned()
    };
    list.push(Loaded { id: 0, start, end, base: info.base, path, told: false });
    0
}

/// Looks at what is loaded now. What was known keeps its id.
fn refresh(known: &mut Vec<Loaded>) {
    let mut now: Vec<Loaded> = Vec::new();
    // SAFETY: the callback gets this list, while the call lasts. It takes the loader's lock for the list of
    // what is loaded, which is never held while code of a library runs.
    unsafe { dl_iterate_phdr(each, (&raw mut now).cast()) };
    for (index, mut image) in now.into_iter().enumerate() {
        if known.iter().any(|other| other.start == image.start && other.path == image.path) {
            continue;
        }
        // The first is the program, and has no name.
        if index == 0 && image.path.is_empty() {
            image.path = std::env::current_exe().map(|path| path.to_string_lossy().into_owned()).unwrap_or_default();
        }
        image.id = known.len() as u32 + 1;
        known.push(image);
    }
}

/// Native frames of these return addresses, innermost first. Images are told at their first use.
pub(super) fn frames(addresses: &[u64]) -> Vec<Frame> {
    let mut told: Vec<Image> = Vec::new();
    let frames = LOADED.with(|known| {
        let find =
            |known: &[Loaded], address| known.iter().rposition(|image| (image.start..image.end).contains(&address));
        let mut fresh = false;
        let mut frame = |&address: &u64| {
            // A return address is behind the call.
            let address = address.wrapping_sub(1);
            let mut found = find(known, address);
            if found.is_none() && !fresh {
                fresh = true;
                refresh(known);
                found = find(known, address);
            }
            let Some(image) = found.map(|index| &mut known[index]) else {
                return Frame { image: 0, offset: address, symbol: String::new() };
            };
            if !image.told {
                image.told = true;
                told.push(Image { id: image.id, base: image.base, path: image.path.clone() });
            }
            Frame { image: image.id, offset: address.wrapping_sub(image.base), symbol: String::new() }
        };
        addresses.iter().map(&mut frame).collect()
    });
    for image in told {
        RECORDER.with(|writer, cursor| {
            writer.append(cursor, Class::Kept, Kind::Image, sys::now(), image.path.len() + 16, |out| image.write(out))
        });
    }
    frames
}
