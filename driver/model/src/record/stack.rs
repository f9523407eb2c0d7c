//! Where a call was made: the machine's stack, or what a language with a stack of its own says of it.

use std::backtrace::Backtrace;
use std::cell::RefCell;
use std::fmt;
use std::sync::{Arc, OnceLock};

/// Who made a call, innermost first, as [`Backtrace`] prints it.
pub enum Stack {
    /// The machine's stack; it is resolved when it is shown.
    Native(Backtrace),
    /// As it was told by the language that the caller is written in.
    Told(String),
}

/// Tells the stack of the calling thread; none where it runs nothing of that language, and empty where it runs
/// nothing of the user's.
pub type Teller = fn() -> Option<String>;

static TELLER: OnceLock<Teller> = OnceLock::new();

thread_local! {
    /// What the caller's language says of the call in progress.
    static TOLD: RefCell<Option<Arc<Stack>>> = const { RefCell::new(None) };
}

/// From now on `teller` is asked first: the machine's stack of an interpreter says nothing about the
/// program that it runs. The first one stays. It is asked at the door, where no lock of the driver is held,
/// since it may wait for a lock of its own.
pub fn tell_stacks(teller: Teller) {
    // Another that is set already is the same extension, imported again.
    let _ = TELLER.set(teller);
}

/// Runs a call whose caller's stack may be asked for within it.
pub fn asked<R>(call: impl FnOnce() -> R) -> R {
    let Some(teller) = TELLER.get() else { return call() };
    // The teller may call the driver in its turn.
    let told = teller().map(|text| Arc::new(Stack::Told(text)));
    let before = TOLD.replace(told);
    let result = call();
    TOLD.replace(before);
    result
}

/// The stack of the calling thread.
pub(crate) fn stack() -> Arc<Stack> {
    TOLD.with_borrow(Clone::clone).unwrap_or_else(|| Arc::new(Stack::Native(Backtrace::force_capture())))
}

impl fmt::Display for Stack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Stack::Native(backtrace) => backtrace.fmt(f),
            Stack::Told(text) => f.write_str(text),
        }
    }
}

impl fmt::Debug for Stack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Stack")
    }
}
