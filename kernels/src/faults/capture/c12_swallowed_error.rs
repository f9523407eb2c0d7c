//! C12: the step swallows the error that broke its capture.
//!
//! Planted: a synchronisation whose result nobody looks at, and launches whose results nobody looks at.
//! Eagerly all of them succeed.
//! Stands for: the class of reports where only "capture invalidated" (901) reaches the user.
//! Found by: ending the capture; the call record tells the first call that failed, and its place.
//! Clean twin: without the synchronisation.

use crate::faults::prelude::*;

/// See the file.
pub const FAULT: Fault = Fault {
    row: "C12",
    name: "swallowed-error",
    group: Group::Capture,
    title: "ignores the results of its calls",
    stands_for: "CUDA Programming Guide, Invalidation",
    expected: Expected::new(Id::C12, Check::Capture),
    sticky: None,
    hangs: false,
    step,
    file: file!(),
};

fn step(variant: Variant) -> Planted {
    Plant::small(FAULT.name)?
        .record(move |cx| {
            if variant.planted() {
                let _ = raw::stream_synchronize(cx.stream());
            }
            let _ = cx.launch(scale(3.0));
            Ok(())
        })
        .step()
}
