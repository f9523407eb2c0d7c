//! L06: results are copied out on another stream, and the next replay does not wait for it.
//!
//! Planted: the host's work before a step copies the table that the step will advance, on a stream of its
//! own; nothing keeps the replay from advancing it first.
//! Stands for: outputs that are drained by a copy stream while the next step runs.
//! Found by: what each piece of work touches and what orders it. Clean twin: the step's stream waits.

use crate::faults::prelude::*;

/// See the file.
pub const FAULT: Fault = Fault {
    row: "L06",
    name: "copied-out-behind",
    group: Group::Order,
    title: "copies results out on a stream that the next replay does not wait for",
    stands_for: "outputs that are drained by a copy stream",
    expected: Expected::new(Id::L06, Check::OrderOfWork).by_memory_only(),
    sticky: None,
    hangs: false,
    step,
    file: file!(),
};

fn step(variant: Variant) -> Planted {
    let parts: Arc<OnceLock<(u64, u64, raw::Stream, raw::Event)>> = Arc::default();
    let drained = Arc::clone(&parts);
    Plant::small(FAULT.name)?
        .prepare(move |_, cx| {
            let (counter, kept, stream, done) = once(&drained, || {
                let made = (allocated(4)?, allocated(4)?, raw::Stream::non_blocking()?, raw::Event::new()?);
                raw::must("cuMemsetD8", raw::memset_now(made.0, 0, 4))?;
                Ok(made)
            })?;
            // What the last step left is there: the copy waits for it.
            cx.check("cuEventRecord", done.record(cx.stream()))?;
            cx.check("cuStreamWaitEvent", done.wait(stream.0))?;
            cx.check("cuMemcpyDtoDAsync", raw::copy_async(*kept, *counter, 4, stream.0))?;
            if variant.planted() {
                return Ok(());
            }
            cx.check("cuEventRecord", done.record(stream.0))?;
            cx.check("cuStreamWaitEvent", done.wait(cx.stream()))
        })
        .record(move |cx| {
            let (counter, ..) = parts.get().ok_or_else(|| StepError::other("the host has made nothing"))?;
            cx.launch(scale(3.0))?;
            cx.launch(Launch::new("advance").value(*counter).value(1u32))
        })
        .step()
}
