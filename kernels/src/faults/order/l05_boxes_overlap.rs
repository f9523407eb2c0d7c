//! L05: two branches store boxes of a tensor that share a row.
//!
//! Planted: the side stream stores the rows 1 and 2 while the main one stores 0 to 3; which of the two comes last is
//! left open.
//! Stands for: tiles of a persistent kernel's halves that overlap by a row.
//! Found by: the bytes that the copies of boxes really touch, beside the edges. Clean twin: the side stream is joined
//! before.

use crate::faults::prelude::*;

/// See the file.
pub const FAULT: Fault = Fault {
    row: "L05",
    name: "boxes-overlap",
    group: Group::Order,
    title: "stores overlapping boxes of a tensor from two branches",
    stands_for: "tiles of two branches that overlap by a row",
    expected: Expected::new(Id::L05, Check::OrderOfWork).on_hopper(),
    sticky: None,
    hangs: false,
    step,
    file: file!(),
};

fn step(variant: Variant) -> Planted {
    let fork = OnceLock::new();
    Plant::small(FAULT.name)?
        .module("boxes", BOXES)
        .record(move |cx| {
            let fork = once(&fork, Fork::new)?;
            let map = raw::tensor_map(cx.address("y")?, [16, u64::from(N) / 16], 2)?;
            let store = |row: u32, factor: f32| {
                let launch = Launch::new("store_box").block([32, 1, 1]).bytes(map.clone());
                launch.buffer("x").value(row).value(factor)
            };
            fork.begin(cx)?;
            cx.launch_on(fork.stream(), store(1, 5.0))?;
            if !variant.planted() {
                fork.end(cx)?;
            }
            cx.launch(store(0, 3.0))?;
            cx.launch(store(2, 3.0))?;
            if variant.planted() { fork.end(cx) } else { Ok(()) }
        })
        .step()
}
