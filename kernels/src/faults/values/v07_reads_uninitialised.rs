//! V07: the step adds to scratch that it never cleared.
//!
//! Planted: a sum is accumulated in scratch, and nothing writes it before.
//! Stands for: vllm-project/vllm#41665, an accumulator whose memset is missing.
//! Found by: the control, eager against eager, with another poison in scratch; runs with each poison again
//! tell that the bits follow it. Clean twin: clears the sum first.

use crate::faults::prelude::*;

/// See the file.
pub const FAULT: Fault = Fault {
    row: "V07",
    name: "reads-uninitialised",
    group: Group::Values,
    title: "adds to scratch that nobody cleared",
    stands_for: "vllm-project/vllm#41665",
    expected: Expected::new(Id::V07, Check::Bits),
    sticky: None,
    hangs: false,
    step,
    file: file!(),
};

fn step(variant: Variant) -> Planted {
    Plant::small(FAULT.name)?
        .with([BufferSpec::scratch("sum", DType::F32, [1]), BufferSpec::output("total", DType::F32, [1])])
        .record(move |cx| {
            if !variant.planted() {
                cx.memset("sum", 0)?;
            }
            cx.launch(scale(3.0))?;
            cx.launch(Launch::new("accumulate_sum").buffer("x").buffer("sum").value(N))?;
            cx.copy("total", "sum")
        })
        .step()
}
