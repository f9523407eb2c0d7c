//! L06: another graph runs beside the replay and uses the same scratch.
//!
//! Planted: the host's work before a step launches a graph of its own on another stream; both graphs write
//! one scratch block.
//! Stands for: graphs of two engines that were captured with one workspace.
//! Found by: what each piece of work touches and what orders it. Clean twin: a block of its own.

use crate::faults::prelude::*;

/// See the file.
pub const FAULT: Fault = Fault {
    row: "L06",
    name: "two-graphs-one-scratch",
    group: Group::Order,
    title: "replays beside another graph that uses the same scratch",
    stands_for: "graphs of two engines that were captured with one workspace",
    expected: Expected::new(Id::L06, Check::OrderOfWork).by_memory_only(),
    sticky: None,
    hangs: false,
    step,
    file: file!(),
};

fn step(variant: Variant) -> Planted {
    let parts: Arc<OnceLock<(u64, raw::Stream, raw::Exec)>> = Arc::default();
    let beside = Arc::clone(&parts);
    Plant::small(FAULT.name)?
        .prepare(move |_, cx| {
            let (_, stream, exec) = once(&beside, || {
                let (scratch, stream) = (allocated(2 * N as usize * 4)?, raw::Stream::non_blocking()?);
                let own = if variant.planted() { scratch } else { scratch + u64::from(N) * 4 };
                raw::must("cuStreamBeginCapture", raw::begin_capture(stream.0))?;
                raw::must("cuMemsetD8Async", raw::memset_async(own, 7, N as usize * 4, stream.0))?;
                let (result, graph) = raw::end_capture(stream.0);
                raw::must("cuStreamEndCapture", result)?;
                let graph = graph.ok_or_else(|| StepError::other("no graph"))?;
                let exec = graph.instantiate().map_err(|error| StepError::other(format!("{error:?}")))?;
                raw::must("cuGraphDestroy", graph.destroy())?;
                Ok((scratch, stream, exec))
            })?;
            cx.check("cuGraphLaunch", exec.launch(stream.0))
        })
        .record(move |cx| {
            let (scratch, ..) = parts.get().ok_or_else(|| StepError::other("the host has made nothing"))?;
            let scaled = Launch::new("scale").block([N, 1, 1]);
            cx.launch(scaled.clone().buffer("x").value(*scratch).value(3f32).value(N))?;
            cx.launch(scaled.value(*scratch).buffer("y").value(1f32).value(N))
        })
        .step()
}
