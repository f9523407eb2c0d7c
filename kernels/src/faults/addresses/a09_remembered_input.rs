//! A09: the step remembers the address of an input instead of asking for it.
//!
//! Planted: the first address of x ever seen goes into every launch. With equal contents in both places
//! the results agree, bit for bit, until somebody frees the first.
//! Stands for: vllm-project/vllm#53915, an input replaced by its caller instead of copied in.
//! Found by: a second capture on other buffers. Clean twin: asks each time.

use crate::faults::prelude::*;

/// See the file.
pub const FAULT: Fault = Fault {
    row: "A09",
    name: "remembered-input",
    group: Group::Addresses,
    title: "holds on to the address of an input",
    stands_for: "vllm-project/vllm#53915",
    expected: Expected::new(Id::A09, Check::BakedValues),
    sticky: None,
    hangs: false,
    step,
    file: file!(),
};

fn step(variant: Variant) -> Planted {
    let remembered = OnceLock::new();
    Plant::small(FAULT.name)?
        .record(move |cx| {
            let now = cx.address("x")?;
            let x = if variant.planted() { *remembered.get_or_init(|| now) } else { now };
            cx.launch(Launch::new("scale").block([N, 1, 1]).value(x).buffer("y").value(3f32).value(N))
        })
        .step()
}
