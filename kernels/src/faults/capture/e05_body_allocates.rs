//! E05: the body of a conditional node allocates its memory.
//!
//! Planted: a temporary of the body comes from `cuMemAllocAsync`, and is freed there again.
//! Stands for: temporaries of a branch that is moved into a conditional node.
//! Found by: reading the bodies back where the graph does not instantiate. Clean twin: a buffer of the step's.

use graphproof_harness::cuda::{Condition, Stream};

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
    let inner = OnceLock::new();
    Plant::small(FAULT.name)?
        .conditional_module()
        .with([BufferSpec::input("go", DType::U32, [1]), BufferSpec::scratch("t", DType::F32, [N as usize])])
        .fill(|index, inputs| {
            inputs.slice_mut::<u32>("go")?[0] = u32::from(!index.is_multiple_of(3));
            Ok(())
        })
        .record(move |cx| {
            let inner = once(&inner, || {
                let stream = Stream::blocking().map_err(|error| StepError::other(error.to_string()))?;
                Ok(Arc::new(stream))
            })?;
            cx.launch(scale(3.0))?;
            cx.conditional(Condition::If, "go", inner, &mut |cx| {
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
        })
        .step()
}
