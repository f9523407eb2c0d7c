//! A03: the step sets an attribute of a memory pool.
//!
//! Planted: `cuMemPoolSetAttribute` of the release threshold in each recording.
//! Stands for: NVIDIA/cuda-python#2834 and NVIDIA/cccl#11360, where this invalidated captures.
//! Found by: the capture, at the call. Clean twin: sets it before the step.

use crate::faults::prelude::*;

/// See the file.
pub const FAULT: Fault = Fault {
    row: "A03",
    name: "pool-attribute",
    group: Group::Addresses,
    title: "sets a memory pool's attribute",
    stands_for: "NVIDIA/cuda-python#2834",
    expected: Expected::new(Id::A03, Check::Capture),
    sticky: None,
    hangs: false,
    step,
    file: file!(),
};

fn step(variant: Variant) -> Planted {
    Plant::small(FAULT.name)?
        .prepare(move |_, cx| match variant {
            Variant::Planted => Ok(()),
            Variant::Clean => cx.check("cuMemPoolSetAttribute", raw::set_release_threshold(1 << 20)),
        })
        .record(move |cx| {
            if variant.planted() {
                cx.check("cuMemPoolSetAttribute", raw::set_release_threshold(1 << 20))?;
            }
            cx.launch(scale(3.0))
        })
        .step()
}
