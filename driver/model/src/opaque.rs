//! Kernels that are machine code, of which only the outside is known: they are recorded and captured like
//! others, and execute nothing.
//!
//! What such a kernel would have written is unknown. So the memory behind each pointer that it is given is
//! filled with poison, from the pointer on: a result that looks right would be a lie.

use std::sync::atomic::Ordering;

use super::driver;
use super::memory::{memory, poison};
use super::work::KernelWork;
use crate::record;

/// Bytes behind one pointer that are poisoned: as many as of a fresh allocation.
const MOST: u64 = 1 << 20;

/// Launches of opaque kernels so far by this driver: how much was not executed.
pub fn launches() -> u64 {
    driver().opaque.load(Ordering::Relaxed)
}

/// "Executes" a launch.
pub fn run(work: &KernelWork) {
    driver().opaque.fetch_add(1, Ordering::Relaxed);
    record::note_work(|| "machine code: it was not executed, and what it was given is poisoned".to_owned());
    for word in work.parameters.chunks_exact(8) {
        let Some(address) = word.try_into().ok().map(u64::from_ne_bytes) else { continue };
        let memory = memory();
        let Some(len) = memory.space.bytes_from(address) else { continue };
        let len = len.min(MOST);
        if let Some(bytes) = memory.space.locate(address, len) {
            // SAFETY: `locate` gives memory of that many bytes, which the launch may write like any kernel.
            poison(unsafe { std::slice::from_raw_parts_mut(bytes, len as usize) });
        }
    }
}
