//! V01: a number is baked into a word that also holds an address.
//!
//! Planted: a descriptor by value holds the input's address without its low bits and, above it, a factor
//! that the host changes with each step. The word follows the buffers, and does not follow them alone.
//! Stands for: flashinfer-ai/flashinfer#4647, a length in a plan that is passed by value.
//! Found by: captures on the same buffers again. Clean twin: the factor stays, so that the word differs
//! between the two sets of buffers only.

use crate::faults::prelude::*;

/// See the file.
pub const FAULT: Fault = Fault {
    row: "V01",
    name: "baked-beside-address",
    group: Group::Values,
    title: "packs a number that changes beside an address",
    stands_for: "flashinfer-ai/flashinfer#4647",
    expected: Expected::new(Id::V01, Check::BakedValues),
    sticky: None,
    hangs: false,
    step,
    file: file!(),
};

fn step(variant: Variant) -> Planted {
    let now = Arc::new(AtomicU64::new(0));
    let factor = Arc::clone(&now);
    Plant::small(FAULT.name)?
        .prepare(move |index, _| {
            factor.store(index, Ordering::Relaxed);
            Ok(())
        })
        .record(move |cx| {
            let factor = if variant.planted() { 2 + now.load(Ordering::Relaxed) } else { 2 };
            let described = [cx.address("x")? >> 4 | factor << 48, 0];
            cx.launch(Launch::new("scale_described").block([N, 1, 1]).value(described).buffer("y").value(N))
        })
        .step()
}
