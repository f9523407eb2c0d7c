//! Group 20: an event is recorded in a captured segment and waited for behind it.
//!
//! Planted: the lane's end is marked with an event inside the step; the host lets the copy stream wait for
//! it before the next replay.
//! Stands for: vllm-project/vllm#56785: invalid value at the wait, and no guard on capturing helps.
//! Found by: the host's own call. Clean twin: the mark is made behind the replay.

use crate::faults::prelude::*;

/// See the file.
pub const FAULT: Fault = Fault {
    row: "G20",
    name: "event-across-segments",
    group: Group::Indexer,
    title: "waits behind the graph for an event inside it",
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
    let plant = Plant::indexer(FAULT.name, Lane::Decode)?;
    let lane = plant.ground();
    plant
        .prepare(move |_, cx| {
            let (event, copies): &(raw::Event, raw::Stream) = once(&prepared, make)?;
            if !variant.planted() {
                cx.check("cuEventRecord", event.record(cx.stream()))?;
            }
            match cx.phase() {
                Phase::Eager => Ok(()),
                Phase::Replay => cx.check("cuStreamWaitEvent", event.wait(copies.0)),
            }
        })
        .record(move |cx| {
            lane.record(cx)?;
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
