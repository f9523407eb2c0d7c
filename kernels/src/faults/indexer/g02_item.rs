//! Group 2: `.item()` on a device scalar.
//!
//! Planted: the row's largest score is read with the synchronous `cuMemcpyDtoH`, which works on the legacy
//! stream and waits.
//! Stands for: NVIDIA/cudnn-frontend#356, `grad_loss.item()` in the indexer's backward.
//! Found by: the capture, at the copy. Clean twin: leaves the value on the device.

use crate::faults::prelude::*;

/// See the file.
pub const FAULT: Fault = Fault {
    row: "G02",
    name: "item-on-a-score",
    group: Group::Indexer,
    title: "reads one score with a synchronous copy",
    stands_for: "NVIDIA/cudnn-frontend#356",
    expected: Expected::new(Id::S08, Check::Capture),
    sticky: None,
    hangs: false,
    step,
    file: file!(),
};

fn step(variant: Variant) -> Planted {
    let plant = Plant::indexer(FAULT.name, Lane::Fused)?;
    let lane = plant.ground();
    plant
        .record(move |cx| {
            lane.record(cx)?;
            if variant.planted() {
                let mut most = [0; 4];
                let source = cx.address("max")?;
                cx.check("cuMemcpyDtoH_v2", raw::download(&mut most, source))?;
                std::hint::black_box(f32::from_ne_bytes(most));
            }
            Ok(())
        })
        .step()
}
