//! C02: a copy on the legacy stream that would escape from a capture of a non-blocking stream.
//!
//! Planted: y is first made by a copy on stream 0. Captured on a stream with the NON_BLOCKING flag, as
//! cudarc's are, the copy would run once, at capture, and be missing from every replay, silently.
//! Stands for: rwkv_lightning#24.
//! Found by: the capture, because graphproof captures on a blocking stream, where the same call is
//! C01, an error, and not silence. Clean twin: the copy is on the step's stream.

use crate::faults::prelude::*;

/// See the file.
pub const FAULT: Fault = Fault {
    row: "C02",
    name: "legacy-copy",
    group: Group::Capture,
    title: "copies on the legacy stream, which a non-blocking capture would lose",
    stands_for: "rwkv_lightning#24",
    expected: Expected::new(Id::C01, Check::Capture),
    sticky: None,
    hangs: false,
    step,
    file: file!(),
};

fn step(variant: Variant) -> Planted {
    Plant::small(FAULT.name)?
        .record(move |cx| {
            let stream = if variant.planted() { raw::LEGACY } else { cx.stream() };
            let (y, x) = (cx.address("y")?, cx.address("x")?);
            cx.check("cuMemcpyDtoDAsync_v2", raw::copy_async(y, x, N as usize * 4, stream))?;
            cx.launch(scale(3.0))
        })
        .step()
}
