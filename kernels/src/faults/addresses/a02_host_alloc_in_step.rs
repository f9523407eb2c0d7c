//! A02: the step allocates pinned host memory.
//!
//! Planted: `cuMemHostAlloc` of a staging buffer in each recording.
//! Stands for: NVIDIA's dl-cuda-graph guide, which lists it among the calls to keep out.
//! Found by: the capture, at the call. Clean twin: allocates before the step.

use crate::faults::prelude::*;

/// See the file.
pub const FAULT: Fault = Fault {
    row: "A02",
    name: "host-alloc-in-step",
    group: Group::Addresses,
    title: "allocates pinned host memory",
    stands_for: "NVIDIA dl-cuda-graph guide, capture failures",
    expected: Expected::new(Id::A02, Check::Capture),
    sticky: None,
    hangs: false,
    step,
    file: file!(),
};

fn step(variant: Variant) -> Planted {
    let made = OnceLock::new();
    let staging = || raw::Pinned::new(4096).map_err(|error| StepError::Other(format!("{error:?}")));
    Plant::small(FAULT.name)?
        .prepare(move |_, _| once(&made, staging).map(|_| ()))
        .record(move |cx| {
            if variant.planted() {
                match raw::Pinned::new(4096) {
                    Ok(staging) => cx.check("cuMemFreeHost", staging.free())?,
                    Err(error) => cx.check("cuMemHostAlloc", error)?,
                }
            }
            cx.launch(scale(3.0))
        })
        .step()
}
