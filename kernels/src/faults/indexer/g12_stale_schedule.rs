//! Group 12: the schedule of splits is reused when a length crosses 256.
//!
//! Planted: the host plans how many splits of 256 keys the row needs. Eager steps plan each time; replays
//! keep the plan of the first step, which had 250 keys.
//! Stands for: flashinfer-ai/flashinfer#4365, reuse of `schedule_meta` from 256 to 257 keys.
//! Found by: the bits, from the first length above 256 on. Clean twin: plans before each replay too.

use crate::faults::prelude::*;

/// See the file.
pub const FAULT: Fault = Fault {
    row: "G12",
    name: "stale-schedule",
    group: Group::Indexer,
    title: "reuses the schedule of splits across 256 keys",
    stands_for: "flashinfer-ai/flashinfer#4365",
    expected: Expected::new(Id::R01, Check::Bits),
    sticky: None,
    hangs: false,
    step,
    file: file!(),
};

fn step(variant: Variant) -> Planted {
    let plant = Plant::indexer(FAULT.name, Lane::Decode)?;
    let lane = plant.ground();
    let keys = |index: u64| 250 + 5 * index as i32;
    plant
        .with([
            BufferSpec::input("row", DType::F32, [512]),
            BufferSpec::input("length", DType::I32, [1]),
            BufferSpec::state("splits", DType::U32, [1]),
            BufferSpec::output("best", DType::F32, [1]),
        ])
        .fill(move |index, inputs| {
            inputs.slice_mut::<i32>("length")?[0] = keys(index);
            // The last key of the row has the largest score.
            for (i, score) in inputs.slice_mut::<f32>("row")?.iter_mut().enumerate() {
                *score = i as f32 + varied(index, 12, i as u64);
            }
            Ok(())
        })
        .prepare(move |index, cx| {
            let planned = cx.phase() == Phase::Eager || index == 0 || !variant.planted();
            let splits = keys(index).cast_unsigned().div_ceil(256);
            if planned { cx.write("splits", &splits.to_ne_bytes()) } else { Ok(()) }
        })
        .record(move |cx| {
            lane.record(cx)?;
            cx.launch(Launch::new("split_max").buffer("row").buffer("length").buffer("splits").buffer("best"))
        })
        .step()
}
