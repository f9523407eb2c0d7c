//! L02: a graph is captured for every step and none is destroyed.
//!
//! Planted: the host captures and instantiates a graph of its own before each replay, and forgets both.
//! Stands for: NVIDIA/warp#1157 and JuliaGPU/CUDA.jl#1230.
//! Found by: counting what is made and destroyed. Clean twin: destroys both.

use crate::faults::prelude::*;

/// See the file.
pub const FAULT: Fault = Fault {
    row: "L02",
    name: "graphs-pile-up",
    group: Group::Leaks,
    title: "makes a graph for each step and destroys none",
    stands_for: "NVIDIA/warp#1157",
    expected: Expected::new(Id::L02, Check::Growth).by_record_only(),
    sticky: None,
    hangs: false,
    step,
    file: file!(),
};

fn step(variant: Variant) -> Planted {
    let parts = OnceLock::new();
    Plant::small(FAULT.name)?
        .prepare(move |_, cx| {
            if cx.phase() != Phase::Replay {
                return Ok(());
            }
            let (stream, memory): &(raw::Stream, u64) = once(&parts, || {
                let (result, memory) = raw::mem_alloc(64);
                raw::must("cuMemAlloc", result)?;
                Ok((raw::Stream::non_blocking()?, memory))
            })?;
            cx.check("cuStreamBeginCapture_v2", raw::begin_capture(stream.0))?;
            cx.check("cuMemsetD8Async", raw::memset_async(*memory, 0, 64, stream.0))?;
            let (result, graph) = raw::end_capture(stream.0);
            cx.check("cuStreamEndCapture", result)?;
            let Some(graph) = graph else { return Err(StepError::Other("no graph".to_owned())) };
            let exec = graph.instantiate().map_err(|error| StepError::Other(format!("{error:?}")))?;
            cx.check("cuGraphLaunch", exec.launch(stream.0))?;
            cx.check("cuStreamSynchronize", raw::stream_synchronize(stream.0))?;
            if variant.planted() {
                return Ok(());
            }
            cx.check("cuGraphExecDestroy", exec.destroy())?;
            cx.check("cuGraphDestroy", graph.destroy())
        })
        .step()
}
