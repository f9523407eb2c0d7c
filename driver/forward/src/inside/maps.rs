//! Tensor maps: which of them the record has. How a driver lays one out is its own affair, so that its bytes as a
//! whole say which call made it. Programs encode the same map before every launch; each is told once.

use std::collections::HashSet;
use std::collections::hash_map::DefaultHasher;
use std::hash::Hasher;

use super::record;
use super::spin::Spin;

/// Bytes of a `CUtensorMap`.
const BYTES: usize = 128;
/// Maps that are remembered.
const MOST: usize = 1 << 16;

/// Digests of the maps that the record has.
static KNOWN: Spin<Option<HashSet<u64>>> = Spin::new(None);

/// In a forked child: its record has none yet.
pub(super) fn reset() {
    KNOWN.reset(None);
}

/// Whether the map at that address, which a successful call has just written, differs from all before it.
pub(super) fn is_new(map: u64) -> bool {
    if map == 0 {
        return false;
    }
    // SAFETY: a successful call filled in the caller's structure just now.
    let bytes = unsafe { std::slice::from_raw_parts(map as *const u8, BYTES) };
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    let digest = hasher.finish();
    let (is_new, count) = KNOWN.with(|known| {
        let known = known.get_or_insert_default();
        let is_new = known.len() < MOST && known.insert(digest);
        (is_new, known.len())
    });
    if is_new && count == MOST {
        record::note("tensor maps that were encoded after the first 65536: addresses in them are not followed");
    }
    is_new
}
