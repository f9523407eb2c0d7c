//! L03: metadata goes through one staging buffer to the device, copy behind copy.
//!
//! Planted: the copy before each replay is asynchronous and reads the one staging buffer when the stream comes
//! to it; by then the host has written a later step's factor.
//! Stands for: vllm-project/vllm's persistent input buffers, filled from one pinned block.
//! Found by: replays that are all enqueued before the first runs. Clean twin: buffers in turn.

use crate::faults::prelude::*;

/// See the file.
pub const FAULT: Fault = Fault {
    row: "L03",
    name: "one-staging",
    group: Group::Order,
    title: "sends metadata through one staging buffer without a wait",
    stands_for: "persistent input buffers filled from one pinned block",
    expected: Expected::new(Id::L03, Check::Pipelined),
    sticky: None,
    hangs: false,
    step,
    file: file!(),
};

fn step(variant: Variant) -> Planted {
    // More than can be in flight.
    const TURNS: usize = 32;
    let parts: Arc<OnceLock<(Vec<raw::Pinned>, u64)>> = Arc::default();
    let filled = Arc::clone(&parts);
    Plant::small(FAULT.name)?
        .prepare(move |index, cx| {
            let (staging, factor) = once(&filled, || {
                let staging: Result<Vec<_>, _> = (0..TURNS).map(|_| raw::Pinned::new(4)).collect();
                Ok((staging.map_err(|error| StepError::other(format!("{error:?}")))?, allocated(4)?))
            })?;
            let turn = if variant.planted() { 0 } else { index as usize % TURNS };
            staging[turn].poke((1.0 + index as f32).to_bits());
            cx.check("cuMemcpyHtoDAsync", raw::upload_async(*factor, staging[turn].bytes(), cx.stream()))
        })
        .record(move |cx| {
            let (_, factor) = parts.get().ok_or_else(|| StepError::other("the host has filled nothing"))?;
            cx.launch(Launch::new("scale_by").block([N, 1, 1]).buffer("x").buffer("y").value(*factor).value(N))
        })
        .step()
}
