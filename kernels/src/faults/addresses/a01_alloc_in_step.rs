//! A01: the step allocates device memory.
//!
//! Planted: `cuMemAlloc` of a temporary in each recording.
//! Stands for: the documentation's own example of a call that capture forbids (cuda.h,
//! `cuThreadExchangeStreamCaptureMode`).
//! Found by: the capture, at the call. Clean twin: allocates before the first step.

use crate::faults::prelude::*;

/// See the file.
pub const FAULT: Fault = Fault {
    row: "A01",
    name: "alloc-in-step",
    group: Group::Addresses,
    title: "allocates device memory",
    stands_for: "cuda.h, cuThreadExchangeStreamCaptureMode",
    expected: Expected::new(Id::A01, Check::Capture),
    sticky: None,
    hangs: false,
    step,
    file: file!(),
};

fn step(variant: Variant) -> Planted {
    let early = Arc::new(OnceLock::new());
    let made = Arc::clone(&early);
    Plant::small(FAULT.name)?
        .prepare(move |_, _| if variant.planted() { Ok(()) } else { once(&made, allocate).map(|_| ()) })
        .record(move |cx| {
            let temporary = if variant.planted() {
                let (result, address) = raw::mem_alloc(BYTES);
                cx.check("cuMemAlloc_v2", result)?;
                address
            } else {
                *once(&early, allocate)?
            };
            cx.check("cuMemsetD8Async", raw::memset_async(temporary, 0, BYTES, cx.stream()))?;
            cx.launch(scale(3.0))
        })
        .step()
}

const BYTES: usize = 4096;

fn allocate() -> StepResult<u64> {
    let (result, address) = raw::mem_alloc(BYTES);
    raw::must("cuMemAlloc", result).map(|()| address)
}
