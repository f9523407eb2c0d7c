//! S06: the step waits for a stream that has nothing to do with it.
//!
//! Planted: `cuStreamSynchronize` of a second stream, as a copy engine's helper does.
//! Stands for: NVlabs/instant-ngp#795.
//! Found by: the capture, at the call; the call record tells whose stream it was.
//! Clean twin: without the call.

use crate::faults::prelude::*;

/// See the file.
pub const FAULT: Fault = Fault {
    row: "S06",
    name: "sync-other-stream",
    group: Group::Syncs,
    title: "synchronises another stream",
    stands_for: "NVlabs/instant-ngp#795",
    expected: Expected::new(Id::S06, Check::Capture).or(&[Id::S01]),
    sticky: None,
    hangs: false,
    step,
    file: file!(),
};

fn step(variant: Variant) -> Planted {
    let other = OnceLock::new();
    Plant::small(FAULT.name)?
        .record(move |cx| {
            let other = once(&other, raw::Stream::non_blocking)?;
            cx.launch(scale(3.0))?;
            if variant.planted() {
                cx.check("cuStreamSynchronize", raw::stream_synchronize(other.0))?;
            }
            Ok(())
        })
        .step()
}
