//! L06: a fill on the legacy stream beside a graph on a non-blocking one.
//!
//! Planted: the host's work before each step fills the factor on the null stream; the step runs on a stream
//! that was made with CU_STREAM_NON_BLOCKING, which the legacy stream does not order.
//! Stands for: kekzl/imp#1652.
//! Found by: what each piece of work touches and what orders it, with `--stream nonblocking`. Clean twin:
//! fills on the step's own stream.

use crate::faults::prelude::*;

/// See the file.
pub const FAULT: Fault = Fault {
    row: "L06",
    name: "legacy-fill",
    group: Group::Order,
    title: "fills on the legacy stream beside a graph on a non-blocking one",
    stands_for: "kekzl/imp#1652",
    expected: Expected::new(Id::L06, Check::OrderOfWork).on(StreamKind::NonBlocking).by_memory_only(),
    sticky: None,
    hangs: false,
    step,
    file: file!(),
};

fn step(variant: Variant) -> Planted {
    let memory: Arc<OnceLock<u64>> = Arc::default();
    let filled = Arc::clone(&memory);
    Plant::small(FAULT.name)?
        .prepare(move |index, cx| {
            let factor = *once(&filled, || allocated(4))?;
            let stream = if variant.planted() { raw::LEGACY } else { cx.stream() };
            cx.check("cuMemsetD32Async", raw::memset32_async(factor, (1.0 + index as f32).to_bits(), 1, stream))
        })
        .record(move |cx| {
            let factor = memory.get().ok_or_else(|| StepError::other("the host has filled nothing"))?;
            cx.launch(Launch::new("scale_by").block([N, 1, 1]).buffer("x").buffer("y").value(*factor).value(N))
        })
        .step()
}
