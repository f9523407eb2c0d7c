//! Group 15: a persistent buffer of picks is written only in part.
//!
//! Planted: a row with fewer keys than picks leaves the rest of its picks as they were.
//! Stands for: tonyd2wild's DeepSeek-V4 DSpark #2, a `torch.empty` buffer of picks, masked in part.
//! Found by: the poison that is left in the output. Clean twin: fills the rest with -1.

use crate::faults::prelude::*;

/// See the file.
pub const FAULT: Fault = Fault {
    row: "G15",
    name: "partly-masked",
    group: Group::Indexer,
    title: "leaves picks of short rows unwritten",
    stands_for: "tonyd2wild DeepSeek-v4 DSpark#2",
    expected: Expected::new(Id::R02, Check::Bits),
    sticky: None,
    hangs: false,
    step,
    file: file!(),
};

fn step(variant: Variant) -> Planted {
    let plant = Plant::indexer(FAULT.name, Lane::Fused)?;
    let lane = plant.ground();
    plant
        .with([BufferSpec::input("row", DType::F32, [N as usize]), BufferSpec::output("row_picks", DType::I32, [32])])
        .fill(|index, inputs| {
            for (i, score) in inputs.slice_mut::<f32>("row")?.iter_mut().enumerate() {
                *score = varied(index, 15, i as u64) - 0.75;
            }
            Ok(())
        })
        .record(move |cx| {
            lane.record(cx)?;
            let padded = u32::from(!variant.planted());
            cx.launch(
                Launch::new("positive_picks").buffer("row").buffer("row_picks").value(padded).value(32u32).value(N),
            )
        })
        .step()
}
