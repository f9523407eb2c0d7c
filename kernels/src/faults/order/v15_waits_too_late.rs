//! V15: a kernel that was launched to begin early reads before it waits.
//!
//! Planted: the second kernel waits for the one ahead, but a line too late: what it reads has been loaded by then. Where
//! the first has ended before, all is right.
//! Stands for: CUDA Programming Guide, "Programmatic Dependent Launch and Synchronization": only what does not depend
//! on the primary kernel comes before `cudaGridDependencySynchronize`; a load that was moved there.
//! Found by: a replay in which the second runs up to its wait while the first is in flight. Clean twin: the load behind
//! the wait.

use crate::faults::prelude::*;

/// See the file.
pub const FAULT: Fault = Fault {
    row: "V15",
    name: "waits-too-late",
    group: Group::Order,
    title: "loads what the kernel ahead writes before it waits for that",
    stands_for: "CUDA Programming Guide, Programmatic Dependent Launch: what comes before the wait must not depend on it",
    expected: Expected::new(Id::V15, Check::Orders).by_order_only().on_hopper(),
    sticky: None,
    hangs: false,
    step,
    file: file!(),
};

fn step(variant: Variant) -> Planted {
    Plant::small(FAULT.name)?
        .with([BufferSpec::scratch("t", DType::F32, [N as usize])])
        .module("programmatic", PROGRAMMATIC)
        .record(move |cx| {
            let second = if variant.planted() { "scale_before_wait" } else { "scale_behind_wait" };
            cx.launch(Launch::new("scale_and_let_begin").block([N, 1, 1]).buffer("x").buffer("t").value(1.5f32))?;
            cx.launch(Launch::new(second).block([N, 1, 1]).buffer("t").buffer("y").value(2.0f32).programmatic())
        })
        .step()
}
