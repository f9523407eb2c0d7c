//! R05: the sum of a batch counts its padding.
//!
//! Planted: the sum goes over the padded batch, whose last row holds what the last batch left there.
//! Stands for: losses and norms over padded batches.
//! Found by: the step without padding, which it declares. Clean twin: sums the real rows.

use crate::faults::prelude::*;

/// See the file.
pub const FAULT: Fault = Fault {
    row: "R05",
    name: "padding-is-counted",
    group: Group::Order,
    title: "sums padded rows too",
    stands_for: "norms over padded batches",
    expected: Expected::new(Id::R05, Check::Unpadded),
    sticky: None,
    hangs: false,
    step,
    file: file!(),
};

fn step(variant: Variant) -> Planted {
    summed(if variant.planted() { N } else { N - 1 })?.unpadded(|| summed(N - 1)?.step()).step()
}

fn summed(rows: u32) -> Result<Plant, KernelsError> {
    let plant = Plant::small(FAULT.name)?
        .buffers([BufferSpec::input("x", DType::F32, [N as usize]), BufferSpec::output("total", DType::F32, [1])])
        .record(move |cx| cx.launch(Launch::new("sum_rotated").buffer("x").buffer("total").value(0u32).value(rows)));
    Ok(plant)
}
