//! L05: a kernel is launched to begin before the one ahead has ended, and does not wait for it.
//!
//! Planted: the first kernel lets the second begin before it has written what that reads. Mostly the first is done by
//! then; under an order in which it is not, the second reads what was there before.
//! Stands for: CUDA Programming Guide, "Programmatic Dependent Launch and Synchronization": without
//! `cudaGridDependencySynchronize` nothing says that the primary kernel's memory is there.
//! Found by: the bytes that both touch, beside the programmatic edge; with `--orders` by results that differ, too. Clean
//! twin: the second waits before it reads. The first lets it begin as early as before.

use crate::faults::prelude::*;

/// See the file.
pub const FAULT: Fault = Fault {
    row: "L05",
    name: "begins-too-early",
    group: Group::Order,
    title: "launches a kernel to begin early that does not wait for what it reads",
    stands_for: "CUDA Programming Guide, Programmatic Dependent Launch: the secondary kernel has to wait",
    expected: Expected::new(Id::L05, Check::OrderOfWork).by_accesses_only().on_hopper(),
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
            let second = if variant.planted() { "scale_at_once" } else { "scale_behind_wait" };
            cx.launch(Launch::new("scale_and_let_begin").block([N, 1, 1]).buffer("x").buffer("t").value(1.5f32))?;
            cx.launch(Launch::new(second).block([N, 1, 1]).buffer("t").buffer("y").value(2.0f32).programmatic())
        })
        .step()
}
