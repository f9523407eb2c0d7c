//! Group 22: a running maximum is not reset from replay to replay.
//!
//! Planted: the running maximum is set to -inf by the host, in eager steps each time, for replays once.
//! From the second replay on it starts from the maximum of the one before.
//! Stands for: the split-K loss of DatasunriseOU/cppmega (`softmax_m`, `softmax_d`), once its
//! initialisation is hoisted out of the captured region; NVIDIA/Megatron-LM#6980 is of the same kind.
//! Found by: the bits. Clean twin: the reset is part of the step.

use crate::faults::prelude::*;

/// See the file.
pub const FAULT: Fault = Fault {
    row: "G22",
    name: "running-max",
    group: Group::Indexer,
    title: "resets the running maximum outside the graph",
    stands_for: "NVIDIA/Megatron-LM#6980",
    expected: Expected::new(Id::R01, Check::Bits),
    sticky: None,
    hangs: false,
    step,
    file: file!(),
};

fn step(variant: Variant) -> Planted {
    let plant = Plant::indexer(FAULT.name, Lane::Fused)?;
    let lane = plant.ground();
    plant
        .with([
            BufferSpec::input("row", DType::F32, [N as usize]),
            BufferSpec::state("running", DType::F32, [1]),
            BufferSpec::output("best", DType::F32, [1]),
        ])
        .fill(|index, inputs| {
            for (i, score) in inputs.slice_mut::<f32>("row")?.iter_mut().enumerate() {
                *score = varied(index, 22, i as u64) - index as f32;
            }
            Ok(())
        })
        .prepare(move |index, cx| {
            let resets = variant.planted() && (cx.phase() == Phase::Eager || index == 0);
            if resets { cx.write("running", &f32::NEG_INFINITY.to_ne_bytes()) } else { Ok(()) }
        })
        .record(move |cx| {
            lane.record(cx)?;
            if !variant.planted() {
                cx.launch(Launch::new("set_value").buffer("running").value(f32::NEG_INFINITY))?;
            }
            cx.launch(Launch::new("running_max").buffer("row").buffer("running").buffer("best").value(N))
        })
        .step()
}
