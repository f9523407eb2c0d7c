//! S10: the step frees device memory, which may wait for the device.
//!
//! Planted: `cuMemFree` of a temporary that the host had allocated before the step.
//! Stands for: NVIDIA/warp's test of capture modes, where a free invalidates the capture; `cuMemFree`
//! "may perform implicit synchronization" (CUDA driver API).
//! Found by: the capture, at the call. Clean twin: frees before the step.

use crate::faults::prelude::*;

/// See the file.
pub const FAULT: Fault = Fault {
    row: "S10",
    name: "free-in-step",
    group: Group::Syncs,
    title: "frees device memory inside the step",
    stands_for: "NVIDIA/warp test_capture_mode",
    expected: Expected::new(Id::S10, Check::Capture),
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
                let (result, address) = raw::mem_alloc(4096);
                cx.check("cuMemAlloc_v2", result)?;
                if variant.planted() {
                    locked(&laid_out).push(address);
                } else {
                    cx.check("cuMemFree_v2", raw::mem_free(address))?;
                }
            }
            Ok(())
        })
        .record(move |cx| {
            cx.launch(scale(3.0))?;
            if variant.planted() {
                let address = take(&temporaries)?;
                cx.check("cuMemFree_v2", raw::mem_free(address))?;
            }
            Ok(())
        })
        .step()
}
