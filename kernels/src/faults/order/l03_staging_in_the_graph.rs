//! L03: the host rewrites pinned memory that the graph copies from, with replays in flight.
//!
//! Planted: the host's work before each step writes the factor into the one staging buffer that the graph's
//! copy reads; nothing says that the last replay has read it.
//! Stands for: pinned staging that is used again at once.
//! Found by: replays that are all enqueued before the first runs. Clean twin: waits for the stream first.

use crate::faults::prelude::*;

/// See the file.
pub const FAULT: Fault = Fault {
    row: "L03",
    name: "staging-in-the-graph",
    group: Group::Order,
    title: "rewrites pinned memory that a replay in flight will copy from",
    stands_for: "pinned staging that is used again at once",
    expected: Expected::new(Id::L03, Check::Pipelined),
    sticky: None,
    hangs: false,
    step,
    file: file!(),
};

fn step(variant: Variant) -> Planted {
    let parts: Arc<OnceLock<(raw::Pinned, u64)>> = Arc::default();
    let filled = Arc::clone(&parts);
    Plant::small(FAULT.name)?
        .prepare(move |index, cx| {
            let (staging, _) = once(&filled, || {
                let staging = raw::Pinned::new(4).map_err(|error| StepError::other(format!("{error:?}")))?;
                Ok((staging, allocated(4)?))
            })?;
            if !variant.planted() {
                cx.check("cuStreamSynchronize", raw::stream_synchronize(cx.stream()))?;
            }
            staging.poke((1.0 + index as f32).to_bits());
            Ok(())
        })
        .record(move |cx| {
            let (staging, factor) = parts.get().ok_or_else(|| StepError::other("the host has filled nothing"))?;
            cx.check("cuMemcpyHtoDAsync", raw::upload_async(*factor, staging.bytes(), cx.stream()))?;
            cx.launch(Launch::new("scale_by").block([N, 1, 1]).buffer("x").buffer("y").value(*factor).value(N))
        })
        .step()
}
