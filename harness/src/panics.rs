//! Where a step panicked: Rust tells the place to the panic hook only, not to whoever catches it.

use std::cell::{Cell, RefCell};
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::sync::Once;

use crate::finding::Site;

/// A panic that was caught.
#[derive(Debug)]
pub(crate) struct Panic {
    /// What it says.
    pub(crate) message: String,
    /// Its place.
    pub(crate) at: Option<Site>,
}

thread_local! {
    static WATCHED: Cell<bool> = const { Cell::new(false) };
    static LAST: RefCell<Option<Site>> = const { RefCell::new(None) };
}

/// Runs `work` and catches its panic, with the place. The hook that was there prints it as ever.
pub(crate) fn watched<T>(work: impl FnOnce() -> T) -> Result<T, Panic> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            note(info);
            before(info);
        }));
    });
    WATCHED.set(true);
    let result = panic::catch_unwind(AssertUnwindSafe(work));
    WATCHED.set(false);
    result.map_err(|panic| {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
        Panic { message: text.unwrap_or_else(|| "the step panicked".to_owned()), at: LAST.take() }
    })
}

fn note(info: &PanicHookInfo<'_>) {
    if WATCHED.get() {
        let place = info.location().map(|location| Site::new("panic", location));
        LAST.set(place);
    }
}
