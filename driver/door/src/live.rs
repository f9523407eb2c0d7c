//! The record of the process that this code runs in: begun at its first event, begun anew after a fork,
//! never in the way of the program.

use std::cell::Cell;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering};

use crate::layout::{Class, Count};
use crate::write::{Cursor, Writer};
use crate::{Kind, sys};

const UNOPENED: u32 = 0;
const OPENING: u32 = 1;
const OPEN: u32 = 2;
const OFF: u32 = 3;

/// Stands in a page that the kernel fills with zeros in a forked child: there the record is unopened, and
/// no lock of another thread is held.
#[repr(C)]
pub struct Shared {
    state: AtomicU32,
    generation: AtomicU64,
    writer: AtomicPtr<Writer>,
    /// Where [`Count::Unwritten`] is counted while the record is open, else null.
    tally: AtomicPtr<AtomicU64>,
}

impl Shared {
    /// Bytes from the page's beginning to the address of the counter of [`Count::Unwritten`], which is null where
    /// nothing is recorded: for entry points in assembly.
    pub const TALLY: usize = std::mem::offset_of!(Shared, tally);
}

/// What a thread knows. In one, since to find each costs a call.
struct Local {
    /// This thread is inside the recorder: what a signal handler calls meanwhile is not recorded.
    busy: Cell<bool>,
    generation: Cell<u64>,
    cursor: Cell<Option<Cursor>>,
}

thread_local! {
    static LOCAL: Local = const { Local { busy: Cell::new(false), generation: Cell::new(0), cursor: Cell::new(None) } };
}

/// Null until something is recorded.
pub static PAGE: AtomicPtr<Shared> = AtomicPtr::new(null_mut());

/// The one recorder of a library.
pub struct Recorder {
    open: fn() -> Option<Writer>,
    opened: fn(&Writer, &mut Cursor),
}

impl Recorder {
    /// `open` makes the record's file, `opened` writes what comes first in it. `open` is called in the first
    /// thread that calls [`Recorder::with`], and again in a forked child.
    pub const fn new(open: fn() -> Option<Writer>, opened: fn(&Writer, &mut Cursor)) -> Self {
        Self { open, opened }
    }

    /// Runs `body` with this process's record and this thread's place in it; `None` where nothing is
    /// recorded: the record could not be made, or this thread is writing to it already.
    #[inline]
    pub fn with<R>(&self, body: impl FnOnce(&Writer, &mut Cursor) -> R) -> Option<R> {
        let shared = PAGE.load(Ordering::Acquire);
        // SAFETY: null, or the page that was made once and is never unmapped.
        let shared = match unsafe { shared.as_ref() } {
            Some(shared) if shared.state.load(Ordering::Acquire) == OPEN => shared,
            _ => self.opened()?,
        };
        let run = |local: &Local| {
            if local.busy.replace(true) {
                return None;
            }
            // SAFETY: open, so it points to a writer that lives as long as the process.
            let writer = unsafe { &*shared.writer.load(Ordering::Relaxed) };
            let generation = shared.generation.load(Ordering::Relaxed);
            let mut cursor = match local.cursor.get() {
                Some(cursor) if local.generation.get() == generation => cursor,
                _ => self.first(writer, generation),
            };
            let result = body(writer, &mut cursor);
            local.cursor.set(Some(cursor));
            local.busy.set(false);
            Some(result)
        };
        LOCAL.try_with(run).ok().flatten()
    }

    /// Whether this thread is inside [`Recorder::with`].
    pub fn is_busy() -> bool {
        LOCAL.try_with(|local| local.busy.get()).unwrap_or(true)
    }

    /// Whether there is a record, or may be one at the next event.
    #[inline]
    pub fn may_record() -> bool {
        // SAFETY: null, or the page that was made once and is never unmapped.
        unsafe { PAGE.load(Ordering::Acquire).as_ref() }
            .is_none_or(|shared| shared.state.load(Ordering::Acquire) != OFF)
    }

    /// A thread's first event names it.
    #[cold]
    fn first(&self, writer: &Writer, generation: u64) -> Cursor {
        let mut cursor = Cursor::new();
        let name = sys::thread_name();
        writer.append(&mut cursor, Class::Kept, Kind::Thread, sys::now(), name.len() + 4, |out| out.text(&name));
        LOCAL.with(|local| local.generation.set(generation));
        cursor
    }

    #[cold]
    fn opened(&self) -> Option<&'static Shared> {
        let shared = page()?;
        loop {
            match shared.state.compare_exchange(UNOPENED, OPENING, Ordering::Acquire, Ordering::Acquire) {
                Ok(_) => break,
                Err(OPEN) => return Some(shared),
                Err(OFF) => return None,
                // Another thread opens it; this one may be inside that, by a signal.
                Err(_) if Self::is_busy() => return None,
                Err(_) => sys::give_way(),
            }
        }
        LOCAL.with(|local| local.busy.set(true));
        let writer = (self.open)();
        let state = match writer {
            Some(writer) => {
                // A new process, or a new life of this one: no thread's place is valid.
                shared.generation.store(sys::now() << 16 | u64::from(std::process::id() & 0xffff), Ordering::Relaxed);
                let mut cursor = self.first(&writer, shared.generation.load(Ordering::Relaxed));
                (self.opened)(&writer, &mut cursor);
                LOCAL.with(|local| local.cursor.set(Some(cursor)));
                // As long as the process: other threads read it whenever they like.
                let writer = Box::leak(Box::new(writer));
                shared.tally.store(std::ptr::from_ref(writer.counter(Count::Unwritten)).cast_mut(), Ordering::Release);
                shared.writer.store(writer, Ordering::Relaxed);
                OPEN
            }
            None => OFF,
        };
        LOCAL.with(|local| local.busy.set(false));
        shared.state.store(state, Ordering::Release);
        (state == OPEN).then_some(shared)
    }

    /// Stops recording in this process, for good.
    pub fn stop() {
        if let Some(shared) = page() {
            shared.state.store(OFF, Ordering::Release);
            shared.tally.store(null_mut(), Ordering::Release);
        }
    }
}

fn page() -> Option<&'static Shared> {
    const BYTES: usize = 4096;
    let mut page = PAGE.load(Ordering::Acquire);
    if page.is_null() {
        let (protect, flags) = (sys::PROT_READ | sys::PROT_WRITE, sys::MAP_PRIVATE | sys::MAP_ANONYMOUS);
        // SAFETY: a new mapping at a place of the kernel's choice.
        let new = unsafe { sys::mmap(null_mut(), BYTES, protect, flags, -1, 0) };
        if new.addr() == usize::MAX {
            return None;
        }
        match PAGE.compare_exchange(null_mut(), new.cast(), Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => {
                page = new.cast();
                // SAFETY: the page just made.
                if unsafe { sys::madvise(new, BYTES, sys::MADV_WIPEONFORK) } != 0 {
                    // SAFETY: a function that only stores to the page.
                    unsafe { sys::pthread_atfork(None, None, Some(wipe)) };
                }
            }
            Err(other) => {
                // SAFETY: made above and seen by nobody.
                unsafe { sys::munmap(new, BYTES) };
                page = other;
            }
        }
    }
    // SAFETY: mapped, and never unmapped; all fields are atomic, and zeros are values of them.
    Some(unsafe { &*page })
}

/// In a forked child, where the kernel is too old to do it.
unsafe extern "C" fn wipe() {
    // SAFETY: null or the page.
    if let Some(shared) = unsafe { PAGE.load(Ordering::Relaxed).as_ref() } {
        shared.state.store(UNOPENED, Ordering::Relaxed);
        shared.tally.store(null_mut(), Ordering::Relaxed);
    }
}
