//! E05: the body of a conditional node allocates its memory.
//!
//! Planted: a temporary of the body comes from `cuMemAllocAsync`, and is freed there again.
//! Stands for: temporaries of a branch that is moved into a conditional node.
//! Found by: reading the bodies back where the graph does not instantiate. Clean twin: a buffer of the step's.

use crate::faults::prelude::*;

/// See the file.
pub const FAULT: Fault = Fault {
    row: "E05",
    name: "body-allocates",
    group: Group::Capture,
    title: "allocates memory in the body of a conditional node",
    stands_for: "temporaries of a branch that is moved into a conditional node",
    expected: Expected::new(Id::E05, Check::Capture),
    sticky: None,
    hangs: false,
    step,
    file: file!(),
};

fn step(variant: Variant) -> Planted {
    Plant::small(FAULT.name)?
        .with_body(move |cx| {
            let scaled = || Launch::new("scale").block([N, 1, 1]);
            if !variant.planted() {
                cx.launch(scaled().buffer("x").buffer("t").value(2f32).value(N))?;
                return cx.launch(scaled().buffer("t").buffer("y").value(5f32).value(N));
            }
            let stream = cx.stream();
            let (result, t) = raw::mem_alloc_async(N as usize * 4, stream);
            cx.check("cuMemAllocAsync", result)?;
            cx.launch(scaled().buffer("x").value(t).value(2f32).value(N))?;
            cx.launch(scaled().value(t).buffer("y").value(5f32).value(N))?;
            cx.check("cuMemFreeAsync", raw::mem_free_async(t, stream))
        })
        .step()
}
