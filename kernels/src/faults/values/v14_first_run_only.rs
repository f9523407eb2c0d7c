//! V14: the step fails, and passes when it is run again.
//!
//! Planted: the first capture launches another kernel, as a library does whose tuner has not chosen yet;
//! later captures, in the same run and in the next, launch the one that was chosen.
//! Stands for: tuners that fill a cache at first use.
//! Found by: running the failed step again. Clean twin: chooses before.

use std::sync::atomic::AtomicBool;

use crate::faults::prelude::*;

/// See the file.
pub const FAULT: Fault = Fault {
    row: "V14",
    name: "first-run-only",
    group: Group::Values,
    title: "launches another kernel in its first capture",
    stands_for: "tuners that choose at first use",
    expected: Expected::new(Id::V14, Check::Retries),
    sticky: None,
    hangs: false,
    step,
    file: file!(),
};

fn step(variant: Variant) -> Planted {
    let tuned = AtomicBool::new(!variant.planted());
    Plant::small(FAULT.name)?
        .record(move |cx| {
            let first = raw::is_capturing(cx.stream()) && !tuned.swap(true, Ordering::Relaxed);
            let kernel = if first { "scale_strided" } else { "scale" };
            cx.launch(Launch::new(kernel).block([N, 1, 1]).buffer("x").buffer("y").value(3f32).value(N))
        })
        .step()
}
