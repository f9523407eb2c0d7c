//! A12: a host function's argument is a local of the step.
//!
//! Planted: `cuLaunchHostFunc` with the address of a local. Each replay calls the function with that
//! address again, long after the local is gone. (The function here does not follow it.)
//! Stands for: the documented rule that function and argument are baked into the node (cuda.h,
//! `CUDA_HOST_NODE_PARAMS`).
//! Found by: the structure of the graph. Clean twin: the argument lives as long as the step.

use crate::faults::prelude::*;

/// See the file.
pub const FAULT: Fault = Fault {
    row: "A12",
    name: "host-function-argument",
    group: Group::Addresses,
    title: "gives a host function the address of a local",
    stands_for: "cuda.h, CUDA_HOST_NODE_PARAMS",
    expected: Expected::new(Id::A12, Check::Structure),
    sticky: None,
    hangs: false,
    step,
    file: file!(),
};

fn step(variant: Variant) -> Planted {
    let lasting = Box::new(7u64);
    Plant::small(FAULT.name)?
        .record(move |cx| {
            let local = std::hint::black_box(7u64);
            let argument = if variant.planted() { &local } else { &*lasting };
            cx.launch(scale(3.0))?;
            cx.check("cuLaunchHostFunc", raw::launch_host_function(cx.stream(), argument))
        })
        .step()
}
