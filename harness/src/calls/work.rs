//! What the calls of a stretch did to memory, as far as their arguments say it, and which streams they used.

use cudarc::driver::sys::CUstream;
use graphproof_driver::record::Call;

use super::{Calls, ENQUEUES, Told, tell};
use crate::spans::Spans;

/// What copies and fills of a stretch touched.
#[derive(Debug, Default)]
pub struct Touched {
    /// What they read.
    pub read: Spans,
    /// What they wrote.
    pub written: Spans,
}

/// Work that a stretch put on one stream.
#[derive(Debug, Clone)]
pub struct OnStream {
    /// The stream.
    pub stream: CUstream,
    /// The first call that enqueued something.
    pub first: Told,
}

impl Calls {
    /// What copies and fills touched, the host's memory included; those of rows and boxes are left out.
    pub fn touched(&self) -> Touched {
        let (mut read, mut written) = (Vec::new(), Vec::new());
        for call in self.recording.calls.iter().filter(|call| !call.failed()) {
            let word = |name: &str| call.arguments.get(name).map(|value| value.word);
            let bytes = match base(call) {
                "cuMemsetD8" | "cuMemsetD8Async" => word("N"),
                "cuMemsetD16" | "cuMemsetD16Async" => word("N").and_then(|count| count.checked_mul(2)),
                "cuMemsetD32" | "cuMemsetD32Async" => word("N").and_then(|count| count.checked_mul(4)),
                name if name.starts_with("cuMemcpy") => word("ByteCount"),
                _ => None,
            };
            let Some(bytes) = bytes else { continue };
            let end = |names: [&str; 3]| names.iter().find_map(|name| word(name)).map(|at| (at, bytes));
            written.extend(end(["dstDevice", "dst", "dstHost"]));
            read.extend(end(["srcDevice", "src", "srcHost"]));
        }
        Touched { read: Spans::of(read), written: Spans::of(written) }
    }

    /// The streams that got work, each with the first call that gave it some. Streams that were made or destroyed
    /// meanwhile are left out: their handles are not worth keeping.
    pub fn streams(&self) -> Vec<OnStream> {
        let calls = || self.recording.calls.iter().filter(|call| !call.failed());
        let made = calls().filter(|call| base(call).starts_with("cuStreamCreate"));
        let made = made.filter_map(|call| call.arguments.get("phStream")?.written);
        let gone = calls().filter(|call| base(call) == "cuStreamDestroy").filter_map(|call| call.stream);
        let passing: Vec<u64> = made.chain(gone).collect();
        let mut found: Vec<OnStream> = Vec::new();
        for call in calls() {
            let works = ENQUEUES.iter().any(|name| call.function.starts_with(name)) || base(call) == "cuGraphLaunch";
            let Some(stream) = call.stream.filter(|stream| works && !passing.contains(stream)) else { continue };
            // The thread's own stream under the other name.
            let stream = if stream == 0 && call.function.ends_with("_ptsz") { 2 } else { stream };
            let stream = std::ptr::with_exposed_provenance_mut(stream as usize);
            if !found.iter().any(|known| known.stream == stream) {
                found.push(OnStream { stream, first: tell(call) });
            }
        }
        found
    }
}

fn base(call: &Call) -> &'static str {
    graphproof_api::find(call.function).map_or(call.function, |row| row.base())
}
