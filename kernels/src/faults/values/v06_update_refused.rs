//! V06: an update of an executable graph is refused, and nobody looks.
//!
//! Planted: the owner of the step keeps a graph of its own and updates it between two replays with one
//! of another structure. `cuGraphExecUpdate` refuses (910); the old graph is launched on.
//! Stands for: the documented limits of updates (CUDA Programming Guide, "Updating instantiated graphs").
//! Found by: the call record of the host's work. Clean twin: the second graph has the same structure.

use crate::faults::prelude::*;

/// See the file.
pub const FAULT: Fault = Fault {
    row: "V06",
    name: "update-refused",
    group: Group::Values,
    title: "ignores that cuGraphExecUpdate was refused",
    stands_for: "CUDA Programming Guide, Updating Instantiated Graphs",
    expected: Expected::new(Id::V06, Check::HiddenSyncs).by_record_only(),
    sticky: None,
    hangs: false,
    step,
    file: file!(),
};

fn step(variant: Variant) -> Planted {
    let stream = OnceLock::new();
    let owned: Mutex<Option<(raw::Exec, u64)>> = Mutex::new(None);
    Plant::small(FAULT.name)?
        .prepare(move |index, cx| {
            if cx.phase() != Phase::Replay {
                return Ok(());
            }
            let stream = once(&stream, raw::Stream::non_blocking)?;
            let mut owned = locked(&owned);
            let (exec, memory) = match owned.as_ref() {
                Some((exec, memory)) => (exec, *memory),
                None => {
                    let (result, memory) = raw::mem_alloc(64);
                    cx.check("cuMemAlloc_v2", result)?;
                    let graph = fills(stream, memory, 1)?;
                    let exec = graph.instantiate().map_err(|error| StepError::Other(format!("{error:?}")))?;
                    cx.check("cuGraphDestroy", graph.destroy())?;
                    (&owned.insert((exec, memory)).0, memory)
                }
            };
            let more = if variant.planted() && index % 2 == 1 { 2 } else { 1 };
            let graph = fills(stream, memory, more)?;
            let _ = exec.update(&graph);
            cx.check("cuGraphDestroy", graph.destroy())?;
            cx.check("cuGraphLaunch", exec.launch(stream.0))?;
            cx.check("cuStreamSynchronize", raw::stream_synchronize(stream.0))
        })
        .step()
}

/// A graph of `count` fills of 64 bytes.
fn fills(stream: &raw::Stream, memory: u64, count: u32) -> StepResult<raw::Graph> {
    raw::must("cuStreamBeginCapture", raw::begin_capture(stream.0))?;
    for value in 0..count {
        raw::must("cuMemsetD8Async", raw::memset_async(memory, value as u8, 64, stream.0))?;
    }
    let (result, graph) = raw::end_capture(stream.0);
    raw::must("cuStreamEndCapture", result)?;
    graph.ok_or_else(|| StepError::Other("the capture gave no graph".to_owned()))
}
