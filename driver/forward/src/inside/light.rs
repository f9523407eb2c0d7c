//! Calls that are only counted: the entry points take those without a hook, once a function's first calls were seen.

use std::sync::atomic::{AtomicU8, Ordering};

use super::trampoline::{SLOTS, has_vectors};
use super::{listen, table};

/// By slot: 0 where calls are looked at closely, else 1 + the words of stack arguments. The entry points look closely
/// all the same while a capture is in progress or nothing is recorded, and at each call that fails.
pub(super) static LIGHT: [AtomicU8; SLOTS] = [const { AtomicU8::new(0) }; SLOTS];

/// Calls of that slot are counted from now on, unless somebody listens.
pub(super) fn take_lightly(slot: usize, stack_words: u64) {
    let Some(mark) = u8::try_from(stack_words).ok().and_then(|words| words.checked_add(1)) else { return };
    // The entry points keep no vectors then, and call what the table says.
    if has_vectors(slot) || !table::exists(slot) || listen::is_set() {
        return;
    }
    LIGHT[slot].store(mark, Ordering::SeqCst);
    // Whoever began to listen meanwhile hears all.
    if listen::is_set() {
        look_closely();
    }
}

/// All calls are looked at from now on.
pub(super) fn look_closely() {
    LIGHT.iter().for_each(|slot| slot.store(0, Ordering::SeqCst));
}
