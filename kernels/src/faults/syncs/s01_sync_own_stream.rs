//! S01: the step waits for its own stream.
//!
//! Planted: `cuStreamSynchronize` behind the launch, as code does that wants to be sure.
//! Stands for: kvcache-ai/ktransformers#942, "operation not permitted when stream is capturing".
//! Found by: the capture, at the call. Clean twin: without the call.

use crate::faults::prelude::*;

/// See the file.
pub const FAULT: Fault = Fault {
    row: "S01",
    name: "sync-own-stream",
    group: Group::Syncs,
    title: "synchronises its own stream",
    stands_for: "kvcache-ai/ktransformers#942",
    expected: Expected::new(Id::S01, Check::Capture),
    sticky: None,
    hangs: false,
    step,
    file: file!(),
};

fn step(variant: Variant) -> Planted {
    Plant::small(FAULT.name)?
        .record(move |cx| {
            cx.launch(scale(3.0))?;
            if variant.planted() {
                cx.check("cuStreamSynchronize", raw::stream_synchronize(cx.stream()))?;
            }
            Ok(())
        })
        .step()
}
