//! S04: the host waits for an event that the step itself recorded.
//!
//! Planted: `cuEventRecord` behind the launch, then `cuEventSynchronize`.
//! Stands for: pytorch/pytorch#104487, an event of a captured stream queried by its watchdog.
//! Found by: the capture, at the wait. Clean twin: records the event and does not wait.

use crate::faults::prelude::*;

/// See the file.
pub const FAULT: Fault = Fault {
    row: "S04",
    name: "sync-captured-event",
    group: Group::Syncs,
    title: "waits on the host for an event of its own",
    stands_for: "pytorch/pytorch#104487",
    expected: Expected::new(Id::S04, Check::Capture),
    sticky: None,
    hangs: false,
    step,
    file: file!(),
};

fn step(variant: Variant) -> Planted {
    let event = OnceLock::new();
    Plant::small(FAULT.name)?
        .record(move |cx| {
            let event = once(&event, raw::Event::new)?;
            cx.launch(scale(3.0))?;
            cx.check("cuEventRecord", event.record(cx.stream()))?;
            if variant.planted() {
                cx.check("cuEventSynchronize", event.synchronize())?;
            }
            Ok(())
        })
        .step()
}
