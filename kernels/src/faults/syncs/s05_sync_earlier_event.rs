//! S05: inside the step, the host waits for an event from before it.
//!
//! Planted: the host records an event before each step; the step waits for it.
//! Stands for: pytorch/pytorch#148594, event queries that hit a capture begun meanwhile.
//! Found by: the capture, at the wait. Clean twin: waits before the step begins.

use crate::faults::prelude::*;

/// See the file.
pub const FAULT: Fault = Fault {
    row: "S05",
    name: "sync-earlier-event",
    group: Group::Syncs,
    title: "waits on the host for an event from before the capture",
    stands_for: "pytorch/pytorch#148594",
    expected: Expected::new(Id::S05, Check::Capture),
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
            if !variant.planted() {
                cx.check("cuEventSynchronize", event.synchronize())?;
            }
            Ok(())
        })
        .record(move |cx| {
            if variant.planted() {
                cx.check("cuEventSynchronize", once(&event, raw::Event::new)?.synchronize())?;
            }
            cx.launch(scale(3.0))
        })
        .step()
}
