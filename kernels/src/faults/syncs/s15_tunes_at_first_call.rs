//! S15: the first call tries variants and waits for them.
//!
//! Planted: the first call times two launches with events of its own and waits for each; later calls know
//! the answer.
//! Stands for: pytorch/helion#2817, launches that are tuned at their first call.
//! Found by: counting the calls of the first run beside those of the second. Clean twin: was tuned before.

use crate::faults::prelude::*;

/// See the file.
pub const FAULT: Fault = Fault {
    row: "S15",
    name: "tunes-at-first-call",
    group: Group::Syncs,
    title: "tries variants and waits for them at the first call",
    stands_for: "pytorch/helion#2817",
    expected: Expected::new(Id::S15, Check::HiddenSyncs).by_record_only(),
    sticky: None,
    hangs: false,
    step,
    file: file!(),
};

fn step(variant: Variant) -> Planted {
    let tuned = AtomicU64::new(u64::from(!variant.planted()));
    let event = Arc::new(OnceLock::new());
    let made = Arc::clone(&event);
    Plant::small(FAULT.name)?
        .prepare(move |_, _| once(&made, raw::Event::new).map(|_| ()))
        .record(move |cx| {
            if tuned.swap(1, Ordering::Relaxed) == 0 {
                let event = event.get().ok_or_else(|| StepError::other("the host has made no event"))?;
                for kernel in ["scale", "scale_strided"] {
                    let launch = Launch::new(kernel).block([N, 1, 1]).buffer("x").buffer("y");
                    cx.launch(launch.value(3f32).value(N))?;
                    raw::must("cuEventRecord", event.record(cx.stream()))?;
                    raw::must("cuEventSynchronize", event.synchronize())?;
                }
            }
            cx.launch(scale(3.0))
        })
        .step()
}
