//! S03: the step waits for the whole context.
//!
//! Planted: `cuCtxSynchronize`, which is what `cudaDeviceSynchronize` calls.
//! Stands for: NVIDIA/TensorRT#3011, an enqueue that synchronises the device.
//! Found by: the capture, at the call. Clean twin: without the call.

use crate::faults::prelude::*;

/// See the file.
pub const FAULT: Fault = Fault {
    row: "S03",
    name: "sync-context",
    group: Group::Syncs,
    title: "synchronises the whole context",
    stands_for: "NVIDIA/TensorRT#3011",
    expected: Expected::new(Id::S03, Check::Capture),
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
                cx.check("cuCtxSynchronize", raw::context_synchronize())?;
            }
            Ok(())
        })
        .step()
}
