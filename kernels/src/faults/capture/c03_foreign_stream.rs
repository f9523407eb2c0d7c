//! C03: part of the step goes to a stream that is not captured.
//!
//! Planted: a memset on a non-blocking stream of the step's own, without an event between the two. It
//! runs at once, also under capture, and no replay repeats it.
//! Stands for: the documented rule (CUDA Programming Guide, "Cross-stream dependencies and events").
//! Found by: the structure: fewer nodes than calls. Clean twin: the memset is on the step's stream.

use crate::faults::prelude::*;

/// See the file.
pub const FAULT: Fault = Fault {
    row: "C03",
    name: "foreign-stream",
    group: Group::Capture,
    title: "enqueues on a stream that is not captured",
    stands_for: "CUDA Programming Guide, Cross-stream dependencies and events",
    expected: Expected::new(Id::C03, Check::Structure),
    sticky: None,
    hangs: false,
    step,
    file: file!(),
};

fn step(variant: Variant) -> Planted {
    let other = OnceLock::new();
    Plant::small(FAULT.name)?
        .with([BufferSpec::scratch("side", DType::F32, [N as usize])])
        .record(move |cx| {
            let other = once(&other, raw::Stream::non_blocking)?;
            let stream = if variant.planted() { other.0 } else { cx.stream() };
            let side = cx.address("side")?;
            cx.check("cuMemsetD8Async", raw::memset_async(side, 0, N as usize * 4, stream))?;
            cx.launch(scale(3.0))
        })
        .step()
}
