//! V08: the step changes its own input.
//!
//! Planted: x is doubled in place before it is used. Whoever replays twice without copying x in again
//! gets twice the doubling.
//! Stands for: the state that replays carry over (NVIDIA's dl-cuda-graph guide, "numerical errors").
//! Found by: hashing the inputs after each run. Clean twin: works on a copy.

use crate::faults::prelude::*;

/// See the file.
pub const FAULT: Fault = Fault {
    row: "V08",
    name: "input-modified",
    group: Group::Values,
    title: "modifies its input in place",
    stands_for: "NVIDIA dl-cuda-graph guide, numerical errors",
    expected: Expected::new(Id::V08, Check::Unchanged),
    sticky: None,
    hangs: false,
    step,
    file: file!(),
};

fn step(variant: Variant) -> Planted {
    Plant::small(FAULT.name)?
        .with([BufferSpec::scratch("copy", DType::F32, [N as usize])])
        .record(move |cx| {
            let own = if variant.planted() { "x" } else { "copy" };
            cx.copy("copy", "x")?;
            cx.launch(Launch::new("double_in_place").block([N, 1, 1]).buffer(own).value(N))?;
            cx.launch(Launch::new("scale").block([N, 1, 1]).buffer(own).buffer("y").value(3f32).value(N))
        })
        .step()
}
