//! Calls as they are told, one by one, to a listener in the same process: the gate hears its own.
//!
//! The listener and the library that tells it are compiled apart, so that what passes between them is C.

use std::ffi::CStr;
use std::sync::atomic::AtomicBool;

use crate::Capture;

/// The name by which the library exports [`Listen`].
pub const LISTEN: &CStr = c"graphproof_listen";

/// The version of [`Heard`] and [`Listen`]: a listener of another one is refused.
pub const LISTEN_VERSION: u32 = 3;

/// Sets the listener: the version of its structures, whether it wants to hear, and what it is told by. Gives
/// whether it will be. Calls that write tensor maps, and those that make or end memory, are told at all times.
///
/// The function must not unwind, and must not call the driver. Both are used until the process ends.
pub type Listen = unsafe extern "C" fn(version: u32, on: *const AtomicBool, each: Listener) -> bool;

/// Hears one call, on the thread that made it, before it returns.
pub type Listener = unsafe extern "C" fn(call: *const Heard);

/// A call that is about to return.
#[repr(C)]
#[derive(Debug)]
pub struct Heard {
    /// The exported name, which lives as long as the process.
    pub name: *const u8,
    /// Bytes of the name.
    pub name_bytes: usize,
    /// The stream, as given; of a structure its field. Of interest where `has_stream`.
    pub stream: u64,
    /// When it began, on [`crate::sys::now`]'s clock.
    pub began: u64,
    /// When it ended.
    pub ended: u64,
    /// Its arguments' bits.
    pub words: *const u64,
    /// How many.
    pub word_count: usize,
    /// `CUresult`.
    pub result: u32,
    /// Whether it names a stream.
    pub has_stream: bool,
    /// Capture status of the stream before, by [`Heard::capture`]: `CUstreamCaptureStatus` + 1, or 0 where the
    /// driver was not asked.
    pub before: u8,
    /// And after.
    pub after: u8,
}

impl Heard {
    /// What `before` and `after` mean.
    pub fn capture(byte: u8) -> Option<Capture> {
        byte.checked_sub(1).and_then(|raw| Capture::from_raw(u32::from(raw)))
    }

    /// How `before` and `after` say it.
    pub fn byte(capture: Option<Capture>) -> u8 {
        capture.map_or(0, |capture| capture as u8 + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_passes_as_a_byte() {
        for status in [None, Some(Capture::None), Some(Capture::Active), Some(Capture::Invalidated)] {
            assert_eq!(Heard::capture(Heard::byte(status)), status);
        }
        assert_eq!(Heard::capture(9), None);
    }
}
