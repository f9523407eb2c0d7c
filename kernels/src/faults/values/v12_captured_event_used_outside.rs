//! V12: an event recorded inside the capture is waited for outside of it.
//!
//! Planted: the step records an event when its result is there; between replays the host lets another
//! stream wait for it. Captured, the event is part of the graph and never fires outside.
//! Stands for: vllm-project/vllm#56785.
//! Found by: the host's own call, which is refused. Clean twin: the host records the event itself.

use crate::faults::prelude::*;

/// See the file.
pub const FAULT: Fault = Fault {
    row: "V12",
    name: "captured-event-outside",
    group: Group::Values,
    title: "waits outside the graph for an event recorded inside",
    stands_for: "vllm-project/vllm#56785",
    expected: Expected::new(Id::V12, Check::Capture),
    sticky: None,
    hangs: false,
    step,
    file: file!(),
};

fn step(variant: Variant) -> Planted {
    let parts = Arc::new(OnceLock::new());
    let prepared = Arc::clone(&parts);
    Plant::small(FAULT.name)?
        .prepare(move |_, cx| {
            let (event, other): &(raw::Event, raw::Stream) = once(&prepared, make)?;
            if !variant.planted() {
                cx.check("cuEventRecord", event.record(cx.stream()))?;
            }
            match cx.phase() {
                Phase::Eager => Ok(()),
                Phase::Replay => cx.check("cuStreamWaitEvent", event.wait(other.0)),
            }
        })
        .record(move |cx| {
            cx.launch(scale(3.0))?;
            if variant.planted() {
                let (event, _) = once(&parts, make)?;
                cx.check("cuEventRecord", event.record(cx.stream()))?;
            }
            Ok(())
        })
        .step()
}

fn make() -> StepResult<(raw::Event, raw::Stream)> {
    Ok((raw::Event::new()?, raw::Stream::non_blocking()?))
}
