//! The recorder in front of NVIDIA's driver, in this process: its calls join the same record as those of the
//! software driver, so that nothing that reads the record knows which driver it is of.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use graphproof_door::{Capture, Heard};
use graphproof_driver::record::{self, Outside};

use crate::calls;
use crate::cuda::{encoded, live};

/// Whether the calls of NVIDIA's driver will be heard.
pub(crate) enum Hearing {
    /// They will; the driver's file.
    Heard(PathBuf),
    /// They will not, and why.
    Unheard(String),
}

/// Puts the recorder in front of the driver that this process would get. No driver may be loaded before.
pub(crate) fn begin() -> Hearing {
    if calls::does_without() {
        return Hearing::Unheard(calls::NOT_WANTED.to_owned());
    }
    match graphproof_forward::listen_here(record::switch(), hear) {
        Ok(here) => Hearing::Heard(here.behind.path),
        Err(why) => Hearing::Unheard(why.to_string()),
    }
}

/// Hears one call. A defect of ours must not end the program, nor unwind into another's code.
///
/// # Safety
/// As [`graphproof_door::Listener`] says: the call and what it points to live until this returns.
unsafe extern "C" fn hear(call: *const Heard) {
    let heard = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: the caller's.
        let call = unsafe { &*call };
        // SAFETY: a name of the recorder's, which lives as long as the process.
        let name = unsafe { std::slice::from_raw_parts(call.name, call.name_bytes) };
        let Ok(function) = std::str::from_utf8(name) else { return };
        let words = match call.word_count {
            0 => &[],
            // SAFETY: as many words as it says.
            count => unsafe { std::slice::from_raw_parts(call.words, count) },
        };
        if call.result == 0 {
            // SAFETY: the call has just succeeded, with these arguments.
            unsafe { encoded::hear(function, words) };
            let captured = Heard::capture(call.before) == Some(Capture::Active);
            // SAFETY: as above.
            unsafe { live::hear(function, words, captured) };
        }
        let outside = Outside {
            function,
            stream: call.has_stream.then_some(call.stream),
            words,
            capture: [call.before, call.after].map(|byte| status(Heard::capture(byte))),
            result: call.result,
            duration_ns: call.ended.saturating_sub(call.began),
        };
        // SAFETY: the call has just succeeded or failed, with these arguments.
        unsafe { record::hear(&outside) };
    }));
    // Told on standard error by the panic itself; the call is missing in the record.
    drop(heard);
}

fn status(capture: Option<Capture>) -> record::Capture {
    match capture {
        Some(Capture::Active) => record::Capture::Active,
        Some(Capture::Invalidated) => record::Capture::Invalidated,
        Some(Capture::None) | None => record::Capture::None,
    }
}
