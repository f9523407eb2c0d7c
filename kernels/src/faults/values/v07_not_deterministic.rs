//! V07: the step does not agree with itself, graph or no graph.
//!
//! Planted: a sum over fp32 numbers in the order in which they happen to arrive, as atomics add them. The
//! order is drawn from the clock, so that it varies on every device.
//! Stands for: sgl-project/sglang#31115: 21 of 25 replays of the same inputs differ.
//! Found by: the control, eager against eager. Clean twin: adds in the order of the index.

use crate::faults::prelude::*;

/// See the file.
pub const FAULT: Fault = Fault {
    row: "V07",
    name: "not-deterministic",
    group: Group::Values,
    title: "adds in the order of arrival",
    stands_for: "sgl-project/sglang#31115",
    expected: Expected::new(Id::V07, Check::Bits),
    sticky: None,
    hangs: false,
    step,
    file: file!(),
};

fn step(variant: Variant) -> Planted {
    let buffers = [BufferSpec::input("x", DType::F32, [1024]), BufferSpec::output("total", DType::F32, [1])];
    Plant::small(FAULT.name)?
        .buffers(buffers)
        .record(move |cx| {
            let first_come = u32::from(variant.planted());
            cx.launch(Launch::new("sum_rotated").buffer("x").buffer("total").value(first_come).value(1024u32))
        })
        .step()
}
