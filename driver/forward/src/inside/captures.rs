//! The captures in progress, and what the driver says of them.

use std::sync::atomic::{AtomicU32, Ordering};

use graphproof_door::Capture;

use super::real;
use super::spin::Spin;

/// Captures followed at once.
const MOST: usize = 64;
/// `CU_STREAM_PER_THREAD`.
const PER_THREAD: u64 = 2;

struct Origins {
    /// Streams on which a capture began, and whether the driver called it invalid already.
    began: Vec<(u64, bool)>,
    /// Calls under way that begin one: what other threads do meanwhile may end it at once.
    beginning: u32,
}

static ORIGINS: Spin<Origins> = Spin::new(Origins { began: Vec::new(), beginning: 0 });
/// The entry points read it too.
pub(super) static ACTIVE: AtomicU32 = AtomicU32::new(0);
/// Whether a capture ever began: then the program has graphs, and waits and copies are of interest.
static EVER: AtomicU32 = AtomicU32::new(0);

/// How many captures are in progress, or about to be.
pub(super) fn active() -> u32 {
    ACTIVE.load(Ordering::Relaxed)
}

/// Whether a capture ever began in this process.
pub(super) fn ever() -> bool {
    EVER.load(Ordering::Relaxed) != 0
}

fn change(body: impl FnOnce(&mut Origins)) {
    ORIGINS.with(|origins| {
        body(origins);
        ACTIVE.store(origins.began.len() as u32 + origins.beginning, Ordering::Relaxed);
    });
}

/// A call is about to begin a capture; [`begun`] comes after it.
pub(super) fn beginning() {
    change(|origins| origins.beginning += 1);
}

/// The call of [`beginning`] has returned: a capture has begun on that stream, or none.
pub(super) fn begun(stream: Option<u64>) {
    change(|origins| {
        origins.beginning = origins.beginning.saturating_sub(1);
        let Some(stream) = stream else { return };
        EVER.store(1, Ordering::Relaxed);
        origins.began.retain(|(origin, _)| *origin != stream);
        if origins.began.len() < MOST {
            origins.began.push((stream, false));
        }
    });
}

/// The capture of that stream has ended, or the stream is about to go.
pub(super) fn end(stream: u64) {
    if active() != 0 {
        change(|origins| origins.began.retain(|(origin, _)| *origin != stream));
    }
}

/// Every stream may be about to go.
pub(super) fn end_all() {
    if active() != 0 {
        change(|origins| origins.began.clear());
    }
}

/// In a forked child.
pub(super) fn reset() {
    ORIGINS.reset(Origins { began: Vec::new(), beginning: 0 });
    ACTIVE.store(0, Ordering::Relaxed);
}

/// The capture status of a stream that the caller may use now; `None` for the legacy stream, which must not
/// be asked: beside a blocking capture the question itself is refused, and ends the capture.
pub(super) fn status(stream: u64) -> Option<Capture> {
    if stream < PER_THREAD {
        return None;
    }
    let mut status = 0;
    // SAFETY: a stream of the caller's, and a valid place for the result.
    let result = unsafe { real::cuStreamIsCapturing(stream, &raw mut status) };
    (result == Some(0)).then(|| Capture::from_raw(status)).flatten()
}

/// Asks for the captures that became invalid since the last time, and gives their streams to `add`.
///
/// The lock keeps a stream from being destroyed meanwhile, since that is noted under it first. Where another
/// thread has it, it is asking itself.
pub(super) fn newly_invalid(mut add: impl FnMut(u64)) {
    ORIGINS.try_with(|origins| {
        for (stream, invalid) in &mut origins.began {
            // The thread's own stream is another one in another thread.
            if !*invalid && *stream != PER_THREAD && status(*stream) == Some(Capture::Invalidated) {
                *invalid = true;
                add(*stream);
            }
        }
    });
}
