//! S16: the first call measures, and waits for what it measured.
//!
//! Planted: the first call records an event behind a launch and waits for it.
//! Stands for: autotuners that time their candidates at the first call of a shape.
//! Found by: a capture in a process that has not run the step. Clean twin: measured before.

use crate::faults::prelude::*;

/// See the file.
pub const FAULT: Fault = Fault {
    row: "S16",
    name: "waits-at-first-call",
    group: Group::Order,
    title: "waits for its own measurement at the first call",
    stands_for: "autotuners that time their candidates",
    expected: Expected::new(Id::S16, Check::Cold),
    sticky: None,
    hangs: false,
    step,
    file: file!(),
};

fn step(variant: Variant) -> Planted {
    let measured = AtomicU64::new(u64::from(!variant.planted()));
    let event = OnceLock::new();
    Plant::small(FAULT.name)?
        .record(move |cx| {
            cx.launch(scale(3.0))?;
            if measured.swap(1, Ordering::Relaxed) == 0 {
                let event = once(&event, raw::Event::new)?;
                cx.check("cuEventRecord", event.record(cx.stream()))?;
                cx.check("cuEventSynchronize", event.synchronize())?;
            }
            Ok(())
        })
        .step()
}
