//! S16: the first call tries variants, and the capture takes them all.
//!
//! Planted: the first call launches two variants and keeps the one that it prefers; captured, both are nodes.
//! Stands for: pytorch/helion#2817, launches that are tuned at their first call.
//! Found by: a capture in a process that has not run the step, beside a second. Clean twin: chose before.

use crate::faults::prelude::*;

/// See the file.
pub const FAULT: Fault = Fault {
    row: "S16",
    name: "tries-variants-while-captured",
    group: Group::Order,
    title: "captures the variants that its first call tries",
    stands_for: "pytorch/helion#2817",
    expected: Expected::new(Id::S16, Check::Cold),
    sticky: None,
    hangs: false,
    step,
    file: file!(),
};

fn step(variant: Variant) -> Planted {
    let tried = AtomicU64::new(u64::from(!variant.planted()));
    Plant::small(FAULT.name)?
        .record(move |cx| {
            if tried.swap(1, Ordering::Relaxed) == 0 {
                let strided = Launch::new("scale_strided").block([N, 1, 1]).buffer("x").buffer("y");
                cx.launch(strided.value(3f32).value(N))?;
            }
            cx.launch(scale(3.0))
        })
        .step()
}
