//! L01: memory that graphs allocate grows with every replay.
//!
//! Planted: before each replay the host captures a graph that allocates and frees nothing, launches it,
//! and destroys it. Destroying a graph does not free what it allocated.
//! Stands for: NVIDIA/warp#1157 and JuliaGPU/CUDA.jl#1230.
//! Found by: the slope of what graphs hold. Clean twin: frees in the graph.

use crate::faults::prelude::*;

/// See the file.
pub const FAULT: Fault = Fault {
    row: "L01",
    name: "graph-memory-grows",
    group: Group::Leaks,
    title: "launches a graph that allocates before each replay, and never frees",
    stands_for: "JuliaGPU/CUDA.jl#1230",
    expected: Expected::new(Id::L01, Check::Growth),
    sticky: None,
    hangs: false,
    step,
    file: file!(),
};

/// Drivers back what graphs allocate in units of 32 MiB (measured on an H200).
const UNIT: usize = 32 << 20;

fn step(variant: Variant) -> Planted {
    let stream = OnceLock::new();
    Plant::small(FAULT.name)?
        .prepare(move |_, cx| {
            if cx.phase() != Phase::Replay {
                return Ok(());
            }
            let stream = once(&stream, raw::Stream::non_blocking)?.0;
            cx.check("cuStreamBeginCapture_v2", raw::begin_capture(stream))?;
            let (result, temporary) = raw::mem_alloc_async(UNIT, stream);
            cx.check("cuMemAllocAsync", result)?;
            cx.check("cuMemsetD8Async", raw::memset_async(temporary, 0, 64, stream))?;
            if !variant.planted() {
                cx.check("cuMemFreeAsync", raw::mem_free_async(temporary, stream))?;
            }
            let (result, graph) = raw::end_capture(stream);
            cx.check("cuStreamEndCapture", result)?;
            let Some(graph) = graph else { return Err(StepError::Other("no graph".to_owned())) };
            let exec = graph.instantiate().map_err(|error| StepError::Other(format!("{error:?}")))?;
            cx.check("cuGraphLaunch", exec.launch(stream))?;
            cx.check("cuStreamSynchronize", raw::stream_synchronize(stream))?;
            cx.check("cuGraphExecDestroy", exec.destroy())?;
            cx.check("cuGraphDestroy", graph.destroy())
        })
        .step()
}
