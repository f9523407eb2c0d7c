//! L07: another host thread fills device memory on a stream of its own while the replay that reads it is in
//! flight.
//!
//! Planted: the thread fills the factor for the next step at once.
//! Stands for: sgl-project/sglang#17033, with the plan in a thread of its own.
//! Found by: replays that are held until the thread is done; on the software driver with the bytes and the
//! missing order. Clean twin: the thread waits for the replay first.

use crate::faults::prelude::*;

/// See the file.
pub const FAULT: Fault = Fault {
    row: "L07",
    name: "thread-moves-block",
    group: Group::Order,
    title: "lets another host thread fill device memory that the replay reads",
    stands_for: "sgl-project/sglang#17033",
    expected: Expected::new(Id::L07, Check::HostThreads),
    sticky: None,
    hangs: false,
    step,
    file: file!(),
};

fn step(variant: Variant) -> Planted {
    let parts: Arc<OnceLock<(u64, raw::Stream)>> = Arc::default();
    let (filled, moved) = (Arc::clone(&parts), Arc::clone(&parts));
    let fill = |factor: u64, index: u64, stream| raw::memset32_async(factor, (1.0 + index as f32).to_bits(), 1, stream);
    Plant::small(FAULT.name)?
        .prepare(move |index, cx| {
            let (factor, side) = once(&filled, || Ok((allocated(4)?, raw::Stream::non_blocking()?)))?;
            // The thread may have been late: what it put on its stream comes first.
            cx.check("cuStreamSynchronize", raw::stream_synchronize(side.0))?;
            cx.check("cuMemsetD32Async", fill(*factor, index, cx.stream()))
        })
        .record(move |cx| {
            let (factor, _) = parts.get().ok_or_else(|| StepError::other("the host has filled nothing"))?;
            cx.launch(Launch::new("scale_by").block([N, 1, 1]).buffer("x").buffer("y").value(*factor).value(N))
        })
        .beside_replay(move |index, cx| {
            let Some((factor, side)) = moved.get() else { return Ok(()) };
            if !variant.planted() {
                cx.check("cuStreamSynchronize", raw::stream_synchronize(cx.stream()))?;
            }
            cx.check("cuMemsetD32Async", fill(*factor, index + 1, side.0))?;
            cx.check("cuStreamSynchronize", raw::stream_synchronize(side.0))
        })
        .step()
}
