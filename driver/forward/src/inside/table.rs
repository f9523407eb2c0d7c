//! What is known of each entry point: the real function, its row of the table, what to do about it.

use std::ffi::{CString, c_void};
use std::ptr::null_mut;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use graphproof_api::{Class, Function};

use super::action::{Action, is_everyday};
use super::arguments::Word;
use super::spin::Spin;
use super::trampoline::{COUNT, NAMES, SLOTS, entry, keep_vectors};
use super::{real, record};

/// What is known of a function.
pub(super) struct Info {
    pub name: String,
    pub row: Option<&'static Function>,
    /// Where each argument is.
    pub words: Vec<Word>,
    /// Whether a successful call writes something of interest through an argument.
    pub writes: bool,
    pub action: Action,
    /// Whether its calls are counted where that is enough: see [`super::action::is_everyday`].
    pub counts: bool,
    /// Words of stack arguments.
    pub stack_words: u64,
}

#[repr(C)]
pub(super) struct Slot {
    real: AtomicPtr<c_void>,
    info: AtomicPtr<Info>,
    /// Calls that were written, as far as [`is_familiar`] counts.
    seen: AtomicUsize,
}

pub(super) static TABLE: [Slot; SLOTS] =
    [const { Slot { real: AtomicPtr::new(null_mut()), info: AtomicPtr::new(null_mut()), seen: AtomicUsize::new(0) } };
        SLOTS];
const _: () = assert!(size_of::<Slot>() == 24 && std::mem::offset_of!(Slot, real) == 0, "as the entry points read it");
static USED: AtomicUsize = AtomicUsize::new(COUNT);
static BINDING: Spin<()> = Spin::new(());
/// Slots by the address of the real function: sorted, made once.
static BY_REAL: OnceLock<Vec<(usize, u16)>> = OnceLock::new();

/// Words of stack arguments of a function whose arguments nobody knows: more than any has.
const UNKNOWN_STACK_WORDS: u64 = 16;

impl Info {
    fn new(name: String, row: Option<&'static Function>) -> Self {
        let words = row.map(super::arguments::layout).unwrap_or_default();
        let on_stack = |word: &Word| word.stack_end();
        let known = row.is_some_and(|row| row.arguments.is_some());
        let stack_words =
            if known { words.iter().map(on_stack).max().unwrap_or(0) as u64 } else { UNKNOWN_STACK_WORDS };
        let base = row.map_or(name.as_str(), |row| row.base());
        let (action, counts) = (Action::of(base), is_everyday(base));
        let writes = words.iter().any(Word::is_written);
        Self { name, row, words, writes, action, counts, stack_words }
    }

    /// Whether an argument may be in a vector register.
    fn has_vectors(&self) -> bool {
        let Some(arguments) = self.row.and_then(|row| row.arguments.as_ref()) else { return true };
        arguments.iter().any(|argument| matches!(argument.c_type, "float" | "double"))
    }

    /// What the call is to a capture.
    pub fn class(&self) -> Class {
        self.row.map_or(Class::Plain, |row| row.class)
    }
}

/// Looks every name up in the real driver.
pub(super) fn fill() {
    if real::open().is_none() {
        return;
    }
    let mut by_real = Vec::with_capacity(COUNT);
    for (slot, name) in NAMES.iter().enumerate() {
        let info = Info::new((*name).to_owned(), graphproof_api::find(name));
        if info.has_vectors() {
            keep_vectors(slot);
        }
        let address = CString::new(*name).ok().and_then(|name| real::symbol(&name));
        TABLE[slot].info.store(Box::into_raw(Box::new(info)), Ordering::Release);
        if let Some(address) = address {
            TABLE[slot].real.store(address.cast_mut(), Ordering::Release);
            by_real.push((address.addr(), slot as u16));
        }
    }
    by_real.sort_unstable();
    // Filled once, before anything is called.
    let _ = BY_REAL.set(by_real);
}

/// The real function of a slot, or one that answers that there is none.
pub(super) fn target(slot: usize) -> *const c_void {
    let real = TABLE[slot].real.load(Ordering::Acquire);
    if real.is_null() { missing as *const () as *const c_void } else { real.cast_const() }
}

/// Whether the real driver has the function of a slot.
pub(super) fn exists(slot: usize) -> bool {
    !TABLE[slot].real.load(Ordering::Acquire).is_null()
}

/// What is known of a slot's function.
pub(super) fn info(slot: usize) -> Option<&'static Info> {
    // SAFETY: null, or a box that is never freed.
    unsafe { TABLE.get(slot)?.info.load(Ordering::Acquire).as_ref() }
}

/// Whether calls of a slot have been seen so often that more of the same tell nothing; counts one where not.
pub(super) fn is_familiar(slot: usize) -> bool {
    const FIRST: usize = 16;
    let seen = &TABLE[slot].seen;
    seen.load(Ordering::Relaxed) >= FIRST || seen.fetch_add(1, Ordering::Relaxed) >= FIRST
}

/// `CUDA_ERROR_NOT_SUPPORTED`: what a driver says that lacks the function.
extern "C" fn missing() -> u32 {
    801
}

/// Whether an address lies in this library.
pub(super) fn is_ours(address: *const c_void) -> bool {
    let mut ours = graphproof_door::sys::DlInfo {
        file: std::ptr::null(),
        base: std::ptr::null_mut(),
        symbol: std::ptr::null(),
        address: std::ptr::null_mut(),
    };
    let mut its = graphproof_door::sys::DlInfo { ..ours };
    // SAFETY: the loader only looks the addresses up, and fills the structures in. This runs while a
    // library is loaded or a function is looked up, never in a call of the driver.
    let found = unsafe {
        graphproof_door::sys::dladdr((&raw const USED).cast(), &raw mut ours) != 0
            && graphproof_door::sys::dladdr(address, &raw mut its) != 0
    };
    found && ours.base == its.base
}

/// Whether an address is an entry point of ours already.
pub(super) fn is_entry(address: *const c_void) -> bool {
    (0..SLOTS).any(|slot| entry(slot) == address)
}

/// The entry point that stands in front of `address`, which the real driver gave for `name` and the table
/// for `exported`; `None` if there are no more.
pub(super) fn in_front_of(
    address: *const c_void,
    name: &str,
    exported: &str,
    row: Option<&'static Function>,
) -> Option<*const c_void> {
    let known = BY_REAL.get().map(Vec::as_slice).unwrap_or_default();
    let first = known.partition_point(|(real, _)| *real < address.addr());
    let same = known[first..].iter().take_while(|(real, _)| *real == address.addr());
    let mut same = same.map(|(_, slot)| usize::from(*slot)).peekable();
    if let Some(&first) = same.peek() {
        // Several names may share a function: the one that was asked for is the one that is told.
        let asked = same.find(|&slot| info(slot).is_some_and(|info| info.name == exported));
        return Some(entry(asked.unwrap_or(first)));
    }
    // The driver exports that name elsewhere: this is another version of it, with arguments of its own.
    let is_elsewhere =
        NAMES.binary_search(&exported).is_ok_and(|slot| !TABLE[slot].real.load(Ordering::Relaxed).is_null());
    let (name, row) = if is_elsewhere { (name, None) } else { (exported, row) };
    BINDING.with(|()| {
        let used = USED.load(Ordering::Relaxed);
        let bound = (COUNT..used).find(|&slot| TABLE[slot].real.load(Ordering::Relaxed).cast_const() == address);
        if let Some(slot) = bound {
            return Some(entry(slot));
        }
        if used >= SLOTS {
            return None;
        }
        let info = Info::new(name.to_owned(), row);
        if info.has_vectors() {
            keep_vectors(used);
        }
        TABLE[used].info.store(Box::into_raw(Box::new(info)), Ordering::Release);
        TABLE[used].real.store(address.cast_mut(), Ordering::Release);
        USED.store(used + 1, Ordering::Release);
        record::name(used, name);
        Some(entry(used))
    })
}

/// The names of spare entry points in use.
pub(super) fn bound() -> impl Iterator<Item = (usize, &'static str)> {
    let used = USED.load(Ordering::Acquire);
    (COUNT..used).filter_map(|slot| Some((slot, info(slot)?.name.as_str())))
}
