//! C08: the step captures itself.
//!
//! Planted: the step begins a capture of its stream, ends it, and launches the graph that it gets. That
//! works as long as nobody else captures the step.
//! Stands for: the documented rule that a stream can be captured once at a time (cuda.h,
//! `cuStreamBeginCapture`).
//! Found by: the capture, at the inner begin. Clean twin: enqueues its work plainly.

use crate::faults::prelude::*;

/// See the file.
pub const FAULT: Fault = Fault {
    row: "C08",
    name: "captures-itself",
    group: Group::Capture,
    title: "begins a capture of the stream that it is given",
    stands_for: "cuda.h, cuStreamBeginCapture",
    expected: Expected::new(Id::C08, Check::Capture),
    sticky: None,
    hangs: false,
    step,
    file: file!(),
};

fn step(variant: Variant) -> Planted {
    Plant::small(FAULT.name)?
        .record(move |cx| {
            if !variant.planted() {
                return cx.launch(scale(3.0));
            }
            let stream = cx.stream();
            cx.check("cuStreamBeginCapture_v2", raw::begin_capture(stream))?;
            cx.launch(scale(3.0))?;
            let (result, graph) = raw::end_capture(stream);
            cx.check("cuStreamEndCapture", result)?;
            let Some(graph) = graph else { return Err(StepError::Other("no graph".to_owned())) };
            let exec = graph.instantiate().map_err(|error| StepError::Other(format!("{error:?}")))?;
            cx.check("cuGraphLaunch", exec.launch(stream))?;
            cx.check("cuGraphExecDestroy", exec.destroy())?;
            cx.check("cuGraphDestroy", graph.destroy())
        })
        .step()
}
