//! The record of this process: where it is, and what comes first in it.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use graphproof_door::{Class, Cursor, Kind, Limits, ProcessEvent, Recorder, Start, Writer, sys};

use super::trampoline::NAMES;
use super::{real, table};

/// Bytes of an event that may be cut off.
pub(super) const MOST: usize = 60 << 10;

pub(super) static RECORDER: Recorder = Recorder::new(open, first);

struct Environment {
    folder: PathBuf,
    limits: Limits,
    software: bool,
}

static ENVIRONMENT: OnceLock<Option<Environment>> = OnceLock::new();
/// The process that last began a record here: after a fork it is another.
static OPENED_BY: AtomicU32 = AtomicU32::new(0);

/// Reads the variables when the library is loaded: the program may change its environment later.
pub(super) fn read_environment() {
    let megabytes = |name: &str| {
        let text = std::env::var_os(name)?;
        text.to_str()?.parse::<usize>().ok()?.checked_mul(1 << 20)
    };
    let _ = ENVIRONMENT.set(std::env::var_os("GRAPHPROOF_TRACE").filter(|folder| !folder.is_empty()).map(|folder| {
        let Limits { kept, ring } = Limits::default();
        Environment {
            folder: folder.into(),
            limits: Limits {
                kept: megabytes("GRAPHPROOF_TRACE_LIMIT").unwrap_or(kept),
                ring: megabytes("GRAPHPROOF_TRACE_RING").unwrap_or(ring),
            },
            software: std::env::var_os("GRAPHPROOF_TRACE_SOFTWARE").is_some(),
        }
    }));
}

fn open() -> Option<Writer> {
    let environment = ENVIRONMENT.get()?.as_ref()?;
    let parent = std::os::unix::process::parent_id();
    Writer::create(&environment.folder, std::process::id(), parent, environment.limits).ok()
}

fn first(writer: &Writer, cursor: &mut Cursor) {
    let mut version = 0;
    // SAFETY: a valid place for the result; the function needs no initialisation.
    unsafe { real::cuDriverGetVersion(&raw mut version) };
    let text = |value: Option<OsString>| value.map(|text| text.to_string_lossy().into_owned()).unwrap_or_default();
    let start = Start {
        command: std::env::args_os().map(|argument| text(Some(argument))).map(shortened).collect(),
        executable: text(std::env::current_exe().ok().map(PathBuf::into_os_string)),
        folder: text(std::env::current_dir().ok().map(PathBuf::into_os_string)),
        driver: real::path(),
        driver_version: version.max(0) as u32,
        software: ENVIRONMENT.get().and_then(Option::as_ref).is_some_and(|environment| environment.software),
        functions: NAMES.iter().map(|name| (*name).to_owned()).collect(),
    };
    writer.append(cursor, Class::Kept, Kind::Start, sys::now(), MOST, |out| start.write(out));
    let pid = std::process::id();
    let before = OPENED_BY.swap(pid, Ordering::Relaxed);
    if before != 0 && before != pid {
        let event = ProcessEvent::Forked { from: before };
        writer.append(cursor, Class::Kept, Kind::Process, sys::now(), 16, |out| event.write(out));
    }
    for (slot, name) in table::bound() {
        write_name(writer, cursor, slot, name);
    }
}

/// A program may be started with its text as an argument.
fn shortened(argument: String) -> String {
    const MOST: usize = 256;
    match argument.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}...", &argument[..end]),
        None => argument,
    }
}

fn write_name(writer: &Writer, cursor: &mut Cursor, slot: usize, name: &str) {
    writer.append(cursor, Class::Kept, Kind::Name, sys::now(), name.len() + 8, |out| {
        out.u32(slot as u32);
        out.text(name);
    });
}

/// Names a spare entry point.
pub(super) fn name(slot: usize, name: &str) {
    RECORDER.with(|writer, cursor| write_name(writer, cursor, slot, name));
}

/// Says what was not seen.
pub(super) fn note(text: &str) {
    RECORDER.with(|writer, cursor| {
        writer.append(cursor, Class::Kept, Kind::Note, sys::now(), text.len() + 4, |out| out.text(text))
    });
}

/// The program ends by itself. A process that never called the driver has no record, and gets none.
pub(super) fn end() {
    if OPENED_BY.load(Ordering::Relaxed) == std::process::id() {
        RECORDER.with(|writer, cursor| {
            writer.append(cursor, Class::Kept, Kind::Process, sys::now(), 8, |out| ProcessEvent::Exit.write(out));
            writer.end();
        });
    }
}
