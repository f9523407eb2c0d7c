//! A06: the step frees, in stream order, memory that was allocated before it.
//!
//! Planted: `cuMemFreeAsync` of a temporary that the host had allocated. A free node must be given an
//! allocation of the graph (cuda.h, `cuGraphAddMemFreeNode`).
//! Stands for: NVIDIA/warp#1714; cudarc's `CudaSlice`, dropped in a capture, does this.
//! Found by: the capture, at the call. Clean twin: frees before the step.

use crate::faults::prelude::*;

/// See the file.
pub const FAULT: Fault = Fault {
    row: "A06",
    name: "free-of-earlier-memory",
    group: Group::Addresses,
    title: "frees earlier memory in stream order",
    stands_for: "NVIDIA/warp#1714",
    expected: Expected::new(Id::A06, Check::Capture),
    sticky: None,
    hangs: false,
    step,
    file: file!(),
};

fn step(variant: Variant) -> Planted {
    let temporaries = Arc::new(Mutex::new(Vec::new()));
    let laid_out = Arc::clone(&temporaries);
    Plant::small(FAULT.name)?
        .prepare(move |_, cx| {
            // One for each recording: two eager ones, two captures and the held stream.
            for _ in 0..if cx.phase() == Phase::Eager { 5 } else { 0 } {
                let (result, address) = raw::mem_alloc_async(4096, cx.stream());
                cx.check("cuMemAllocAsync", result)?;
                if variant.planted() {
                    locked(&laid_out).push(address);
                } else {
                    cx.check("cuMemFreeAsync", raw::mem_free_async(address, cx.stream()))?;
                }
            }
            Ok(())
        })
        .record(move |cx| {
            cx.launch(scale(3.0))?;
            if variant.planted() {
                let (address, stream) = (take(&temporaries)?, cx.stream());
                cx.check("cuMemFreeAsync", raw::mem_free_async(address, stream))?;
            }
            Ok(())
        })
        .step()
}
