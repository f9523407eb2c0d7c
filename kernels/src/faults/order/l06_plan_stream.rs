//! L06: metadata is written on a planning stream, and the replay does not wait for it.
//!
//! Planted: the host's work before each step fills the factor on a stream of its own, without an event.
//! Stands for: sgl-project/sglang#17033.
//! Found by: what each piece of work touches and what orders it. Clean twin: the step's stream waits for an
//! event behind the fill.

use crate::faults::prelude::*;

/// See the file.
pub const FAULT: Fault = Fault {
    row: "L06",
    name: "plan-stream",
    group: Group::Order,
    title: "writes metadata on a stream that the replay does not wait for",
    stands_for: "sgl-project/sglang#17033",
    expected: Expected::new(Id::L06, Check::OrderOfWork).by_memory_only(),
    sticky: None,
    hangs: false,
    step,
    file: file!(),
};

fn step(variant: Variant) -> Planted {
    let parts: Arc<OnceLock<(u64, raw::Stream, raw::Event)>> = Arc::default();
    let planned = Arc::clone(&parts);
    Plant::small(FAULT.name)?
        .prepare(move |index, cx| {
            let (factor, stream, written) =
                once(&planned, || Ok((allocated(4)?, raw::Stream::non_blocking()?, raw::Event::new()?)))?;
            let value = (1.0 + index as f32).to_bits();
            cx.check("cuMemsetD32Async", raw::memset32_async(*factor, value, 1, stream.0))?;
            if variant.planted() {
                return Ok(());
            }
            cx.check("cuEventRecord", written.record(stream.0))?;
            cx.check("cuStreamWaitEvent", written.wait(cx.stream()))
        })
        .record(move |cx| {
            let (factor, ..) = parts.get().ok_or_else(|| StepError::other("the host has planned nothing"))?;
            let by = Launch::new("scale_by").block([N, 1, 1]).buffer("x").buffer("y");
            cx.launch(by.value(*factor).value(N))
        })
        .step()
}
