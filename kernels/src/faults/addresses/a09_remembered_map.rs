//! A09: a tensor map is encoded once, and given to every capture.
//!
//! Planted: the map of the input is kept from the first call, so that the graph reads the buffer of that call.
//! Stands for: descriptors cached by shape and not by address.
//! Found by: a second capture on other buffers. Clean twin: encodes the map for the address that it is given.

use crate::faults::prelude::*;

/// See the file.
pub const FAULT: Fault = Fault {
    row: "A09",
    name: "remembered-map",
    group: Group::Addresses,
    title: "holds on to the tensor map of an input",
    stands_for: "descriptors that are cached by shape and not by address",
    expected: Expected::new(Id::A09, Check::BakedValues).on_hopper(),
    sticky: None,
    hangs: false,
    step,
    file: file!(),
};

fn step(variant: Variant) -> Planted {
    let remembered = OnceLock::new();
    Plant::small(FAULT.name)?
        .module("boxes", BOXES)
        .record(move |cx| {
            let now = raw::tensor_map(cx.address("x")?, [16, u64::from(N) / 16], 2)?;
            let map = if variant.planted() { remembered.get_or_init(|| now).clone() } else { now };
            let boxes = Launch::new("load_box").grid([N / 32, 1, 1]).block([32, 1, 1]);
            cx.launch(boxes.bytes(map).buffer("y"))
        })
        .step()
}
