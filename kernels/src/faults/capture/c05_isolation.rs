//! C05: the captured step waits for work from before the capture.
//!
//! Planted: the host records an event before the step; the step makes its stream wait for it.
//! Stands for: NVIDIA/cccl#8674 and gradium-ai/xn#52: cudarc's event tracking does this in each launch.
//! Found by: the capture, at the call. Clean twin: the wait is before the step.

use crate::faults::prelude::*;

/// See the file.
pub const FAULT: Fault = Fault {
    row: "C05",
    name: "isolation",
    group: Group::Capture,
    title: "waits on the device for an event from before the capture",
    stands_for: "NVIDIA/cccl#8674",
    expected: Expected::new(Id::C05, Check::Capture),
    sticky: None,
    hangs: false,
    step,
    file: file!(),
};

fn step(variant: Variant) -> Planted {
    let event = Arc::new(OnceLock::new());
    let prepared = Arc::clone(&event);
    Plant::small(FAULT.name)?
        .prepare(move |_, cx| {
            let event = once(&prepared, raw::Event::new)?;
            cx.check("cuEventRecord", event.record(cx.stream()))?;
            cx.check("cuStreamWaitEvent", event.wait(cx.stream()))
        })
        .record(move |cx| {
            if variant.planted() {
                cx.check("cuStreamWaitEvent", once(&event, raw::Event::new)?.wait(cx.stream()))?;
            }
            cx.launch(scale(3.0))
        })
        .step()
}
