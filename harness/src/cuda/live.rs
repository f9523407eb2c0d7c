//! What device memory there is in this process, by the calls that were heard, whoever made them.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A stretch of device memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Live {
    /// Its first address.
    pub base: u64,
    /// Its bytes.
    pub bytes: u64,
    /// The harness has it for itself: no step is given its address.
    pub own: bool,
}

static LIVE: Mutex<BTreeMap<u64, Live>> = Mutex::new(BTreeMap::new());

fn ledger() -> MutexGuard<'static, BTreeMap<u64, Live>> {
    LIVE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// All memory but the harness's own.
pub fn all() -> Vec<Live> {
    ledger().values().filter(|live| !live.own).copied().collect()
}

/// The memory that begins there is the harness's own.
pub fn note_own(base: u64) {
    if let Some(live) = ledger().get_mut(&base) {
        live.own = true;
    }
}

/// What a call does to memory.
enum Effect {
    Made(u64, u64),
    Ended(u64),
    Unmapped(u64, u64),
}

/// Notes what a call did to memory, if it makes or ends some. `captured`: its stream captures, so that the memory is
/// the graph's.
///
/// # Safety
/// A call of that name has just succeeded with these arguments, and what it wrote through them can be read.
pub unsafe fn hear(function: &str, words: &[u64], captured: bool) {
    // Most calls are none of these.
    if !function.starts_with("cuMem") {
        return;
    }
    let Some(row) = graphproof_api::find(function) else { return };
    let word = |at: usize| words.get(at).copied().unwrap_or(0);
    let written = |at: usize| match word(at) {
        0 => 0,
        // SAFETY: a successful call wrote there.
        place => unsafe { (place as *const u64).read_unaligned() },
    };
    let effect = match row.base() {
        // What migrates may be the host's at any time.
        "cuMemAllocManaged" => return,
        "cuMemAlloc" => Effect::Made(written(0), word(1)),
        "cuMemAllocPitch" => Effect::Made(written(0), written(1).saturating_mul(word(3))),
        "cuMemAllocAsync" | "cuMemAllocFromPoolAsync" if !captured => Effect::Made(written(0), word(1)),
        "cuMemMap" => Effect::Made(word(0), word(1)),
        "cuMemFree" => Effect::Ended(word(0)),
        "cuMemFreeAsync" if !captured => Effect::Ended(word(0)),
        "cuMemUnmap" => Effect::Unmapped(word(0), word(1)),
        _ => return,
    };
    let mut ledger = ledger();
    match effect {
        Effect::Made(base, bytes) if base != 0 => drop(ledger.insert(base, Live { base, bytes, own: false })),
        Effect::Made(..) => {}
        Effect::Ended(base) => drop(ledger.remove(&base)),
        Effect::Unmapped(base, bytes) => ledger.retain(|at, _| *at < base || *at - base >= bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is known between two addresses that no other test uses.
    fn known(from: u64) -> Vec<(u64, u64)> {
        all()
            .into_iter()
            .filter(|live| (from..from + 0x1_0000).contains(&live.base))
            .map(|l| (l.base, l.bytes))
            .collect()
    }

    fn say(function: &str, words: &[u64], captured: bool) {
        // SAFETY: the words point at what such a call writes, or are numbers.
        unsafe { hear(function, words, captured) };
    }

    #[test]
    fn memory_is_followed_from_its_making_to_its_end() {
        const AT: u64 = 0x5eed_0000_0000;
        let place = |address: &u64| std::ptr::from_ref(address).addr() as u64;
        let (first, second, third, pitch) = (AT, AT + 0x1000, AT + 0x2000, 512u64);
        say("cuMemAlloc_v2", &[place(&first), 4096], false);
        say("cuMemAllocAsync_ptsz", &[place(&second), 64, 2], false);
        say("cuMemAllocPitch_v2", &[place(&third), place(&pitch), 500, 4, 4], false);
        assert_eq!(known(AT), [(first, 4096), (second, 64), (third, 2048)]);
        // Of a graph; and the harness's own.
        say("cuMemAllocAsync", &[place(&(AT + 0x3000)), 64, 2], true);
        note_own(second);
        assert_eq!(known(AT), [(first, 4096), (third, 2048)]);
        say("cuMemFreeAsync", &[third, 2], true);
        say("cuMemFree_v2", &[first], false);
        say("cuMemMap", &[AT + 0x4000, 0x1000, 0, 7, 0], false);
        assert_eq!(known(AT), [(third, 2048), (AT + 0x4000, 0x1000)]);
        say("cuMemUnmap", &[AT + 0x4000, 0x1000], false);
        say("cuMemFreeAsync", &[third, 2], false);
        assert_eq!(known(AT), []);
    }
}
