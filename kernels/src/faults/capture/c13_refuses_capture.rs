//! C13: the step refuses to be captured, with an error of its own.
//!
//! Planted: a wrapper asks whether the stream is captured and gives up, without a call that failed.
//! Stands for: sgl-project/sglang#40461, whose top-k refuses to run under capture.
//! Found by: the error that comes back under capture only. Clean twin: does not ask.

use crate::faults::prelude::*;

/// See the file.
pub const FAULT: Fault = Fault {
    row: "C13",
    name: "refuses-capture",
    group: Group::Capture,
    title: "returns an error of its own when it is captured",
    stands_for: "sgl-project/sglang#40461",
    expected: Expected::new(Id::C13, Check::Capture),
    sticky: None,
    hangs: false,
    step,
    file: file!(),
};

fn step(variant: Variant) -> Planted {
    Plant::small(FAULT.name)?
        .record(move |cx| {
            if variant.planted() && raw::is_capturing(cx.stream()) {
                return Err(StepError::other("this kernel cannot be captured"));
            }
            cx.launch(scale(3.0))
        })
        .step()
}
