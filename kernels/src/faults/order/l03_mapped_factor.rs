//! L03: a kernel of the graph reads mapped host memory, which the host rewrites with replays in flight.
//!
//! Planted: the host writes the factor where the kernel will read it, while earlier replays have not run.
//! Stands for: step numbers and lengths in mapped memory.
//! Found by: replays that are all enqueued before the first runs. Clean twin: waits for the stream first.

use crate::faults::prelude::*;

/// See the file.
pub const FAULT: Fault = Fault {
    row: "L03",
    name: "mapped-factor",
    group: Group::Order,
    title: "rewrites mapped memory that a replay in flight will read",
    stands_for: "lengths in mapped host memory",
    expected: Expected::new(Id::L03, Check::Pipelined),
    sticky: None,
    hangs: false,
    step,
    file: file!(),
};

fn step(variant: Variant) -> Planted {
    let memory: Arc<OnceLock<raw::Pinned>> = Arc::default();
    let filled = Arc::clone(&memory);
    Plant::small(FAULT.name)?
        .prepare(move |index, cx| {
            let factor = once(&filled, || raw::Pinned::new(4).map_err(|error| StepError::other(format!("{error:?}"))))?;
            if !variant.planted() {
                cx.check("cuStreamSynchronize", raw::stream_synchronize(cx.stream()))?;
            }
            factor.poke((1.0 + index as f32).to_bits());
            Ok(())
        })
        .record(move |cx| {
            let factor = memory.get().ok_or_else(|| StepError::other("the host has filled nothing"))?;
            let by = Launch::new("scale_by").block([N, 1, 1]).buffer("x").buffer("y");
            cx.launch(by.value(factor.device_address()?).value(N))
        })
        .step()
}
