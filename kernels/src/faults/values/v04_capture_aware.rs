//! V04: the step asks whether it is captured, and does something else then.
//!
//! Planted: under capture another kernel is launched. It computes the same here, so that no comparison
//! of results can tell; what is tested is not what is replayed.
//! Stands for: sgl-project/sglang#40461, whose top-k refuses to run under capture.
//! Found by: comparing what the step enqueues eagerly with what it enqueues under capture.
//! Clean twin: does not ask.

use crate::faults::prelude::*;

/// See the file.
pub const FAULT: Fault = Fault {
    row: "V04",
    name: "capture-aware",
    group: Group::Values,
    title: "launches another kernel when it is captured",
    stands_for: "sgl-project/sglang#40461",
    expected: Expected::new(Id::V04, Check::SameWork),
    sticky: None,
    hangs: false,
    step,
    file: file!(),
};

fn step(variant: Variant) -> Planted {
    Plant::small(FAULT.name)?
        .record(move |cx| {
            let other = variant.planted() && raw::is_capturing(cx.stream());
            let kernel = if other { "scale_strided" } else { "scale" };
            cx.launch(Launch::new(kernel).block([N, 1, 1]).buffer("x").buffer("y").value(3f32).value(N))
        })
        .step()
}
