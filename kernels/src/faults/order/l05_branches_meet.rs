//! L05: two branches of the graph write the same bytes.
//!
//! Planted: the side stream clears the whole output while the main one writes its half: whichever comes
//! last wins in the half that both write.
//! Stands for: a memset of padding that runs beside the kernel it pads for.
//! Found by: the bytes that the nodes really touch, beside the edges. Clean twin: each writes its own
//! half of the same buffer.

use crate::faults::prelude::*;

/// See the file.
pub const FAULT: Fault = Fault {
    row: "L05",
    name: "branches-meet",
    group: Group::Order,
    title: "writes the same bytes from two branches",
    stands_for: "a memset of padding beside the kernel that it pads for",
    expected: Expected::new(Id::L05, Check::OrderOfWork),
    sticky: None,
    hangs: false,
    step,
    file: file!(),
};

fn step(variant: Variant) -> Planted {
    const HALF: u32 = N / 2;
    let fork = OnceLock::new();
    Plant::small(FAULT.name)?
        .record(move |cx| {
            let fork = once(&fork, Fork::new)?;
            let y = cx.address("y")?;
            let from = if variant.planted() { 0 } else { HALF as usize * 4 };
            fork.begin(cx)?;
            cx.check_on(
                fork.stream(),
                "cuMemsetD8Async",
                raw::memset_async(y + from as u64, 0, N as usize * 4 - from, fork.stream()),
            )?;
            cx.launch(Launch::new("scale").block([HALF, 1, 1]).buffer("x").buffer("y").value(3f32).value(HALF))?;
            fork.end(cx)
        })
        .step()
}
