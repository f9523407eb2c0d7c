//! The stalled-stream probe: with the stream held, an eager run of the step must come back to
//! the host all the same. What blocks then is a hidden synchronisation, whatever its name.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use crate::cuda::{CudaError, Stream};
use crate::finding::{Check, Finding, Id};
use crate::watchdog::{Heartbeat, Position};

const CHECK: Check = Check::StalledStream;

/// How long a single call may keep the host before it counts as blocked.
const PATIENCE: Duration = Duration::from_secs(2);

/// Holds a stream until it is released.
#[derive(Debug, Default)]
struct Latch {
    open: Mutex<bool>,
    changed: Condvar,
}

impl Latch {
    fn release(&self) {
        *self.open.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }

    fn wait(&self) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        while !*open {
            open = self.changed.wait(open).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// As [`probe_for`], for a call that may take its time.
///
/// # Errors
/// As [`probe_for`].
pub fn probe<T>(
    stream: &Stream,
    heartbeat: &Heartbeat,
    work: impl FnOnce() -> T,
) -> Result<(T, Option<Position>), CudaError> {
    probe_for(stream, heartbeat, PATIENCE, work)
}

/// Runs `work` while `stream` is held. Returns what `work` returned and, if it blocked, where.
///
/// # Errors
/// The stream could not be held.
pub fn probe_for<T>(
    stream: &Stream,
    heartbeat: &Heartbeat,
    patience: Duration,
    work: impl FnOnce() -> T,
) -> Result<(T, Option<Position>), CudaError> {
    let latch = Latch::default();
    // The latch is released and the stream drained below, before it goes out of scope.
    stream.call_host(hold, &latch)?;
    let returned = Latch::default();
    let (result, blocked) = std::thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let blocked = watch(&returned, heartbeat, patience);
            latch.release();
            blocked
        });
        let result = work();
        returned.release();
        (result, watcher.join().unwrap_or_default())
    });
    stream.synchronize()?;
    Ok((result, blocked))
}

/// Waits until the work returned, or until it made no call for too long.
fn watch(returned: &Latch, heartbeat: &Heartbeat, patience: Duration) -> Option<Position> {
    let mut beats = heartbeat.count();
    loop {
        let open = returned.open.lock().unwrap_or_else(PoisonError::into_inner);
        let (open, timeout) =
            returned.changed.wait_timeout_while(open, patience, |open| !*open).unwrap_or_else(PoisonError::into_inner);
        if *open {
            return None;
        }
        let now = heartbeat.count();
        if timeout.timed_out() && now == beats {
            return Some(heartbeat.position());
        }
        beats = now;
    }
}

fn hold(latch: &Latch) {
    latch.wait();
}

/// The finding for a host that did not come back before the stream was released.
pub fn finding(position: &Position, step: u64) -> Finding {
    let call = position.site.as_ref().map_or("(no call through the step's context)", |site| site.what.as_str());
    Finding::new(Id::S14, CHECK).at_step(step).at(position.site.clone()).contrast(
        "the host returns from the step while its stream is held",
        format!("the host was still inside the step after {} s, at or after: {call}", PATIENCE.as_secs()),
    )
}
