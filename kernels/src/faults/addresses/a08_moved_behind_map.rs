//! A08: a buffer moves, and the graph's tensor map has its old address.
//!
//! Planted: before step 6 the buffer of weights is allocated anew; the map among the kernel's parameters was encoded
//! for the old one.
//! Stands for: descriptors that are encoded once for a workspace that grows.
//! Found by: the address in the map. Clean twin: the buffer stays.

use crate::faults::prelude::*;

/// See the file.
pub const FAULT: Fault = Fault {
    row: "A08",
    name: "moved-behind-map",
    group: Group::Addresses,
    title: "moves a buffer that a tensor map describes",
    stands_for: "descriptors that are encoded once for a workspace that grows",
    expected: Expected::new(Id::A08, Check::Addresses).on_hopper(),
    sticky: None,
    hangs: false,
    step,
    file: file!(),
};

fn step(variant: Variant) -> Planted {
    Plant::small(FAULT.name)?
        .with([BufferSpec::input("w", DType::F32, [N as usize])])
        .module("boxes", BOXES)
        .prepare(move |index, cx| {
            let moves = variant.planted() && index == 6 && cx.phase() == Phase::Replay;
            if moves { cx.reallocate("w") } else { Ok(()) }
        })
        .record(|cx| {
            let map = raw::tensor_map(cx.address("w")?, [16, u64::from(N) / 16], 2)?;
            let boxes = Launch::new("load_box").grid([N / 32, 1, 1]).block([32, 1, 1]);
            cx.launch(boxes.bytes(map).buffer("y"))
        })
        .step()
}
