//! A05: the graph allocates memory that it never frees.
//!
//! Planted: `cuMemAllocAsync` in the step becomes an allocation node; the free is forgotten. The second
//! launch is refused, or, with auto-free, memory grows.
//! Stands for: kekzl/imp#1648, ggml-org/llama.cpp#20315, JuliaGPU/CUDA.jl#1230.
//! Found by: the structure of the graph. Clean twin: frees it in the step.

use crate::faults::prelude::*;

/// See the file.
pub const FAULT: Fault = Fault {
    row: "A05",
    name: "graph-allocation-leaks",
    group: Group::Addresses,
    title: "allocates in stream order and never frees",
    stands_for: "kekzl/imp#1648",
    expected: Expected::new(Id::A05, Check::Structure),
    sticky: None,
    hangs: false,
    step,
    file: file!(),
};

fn step(variant: Variant) -> Planted {
    Plant::small(FAULT.name)?
        .record(move |cx| {
            let stream = cx.stream();
            let (result, temporary) = raw::mem_alloc_async(4096, stream);
            cx.check("cuMemAllocAsync", result)?;
            cx.check("cuMemsetD8Async", raw::memset_async(temporary, 0, 4096, stream))?;
            cx.launch(scale(3.0))?;
            if !variant.planted() {
                cx.check("cuMemFreeAsync", raw::mem_free_async(temporary, stream))?;
            }
            Ok(())
        })
        .step()
}
