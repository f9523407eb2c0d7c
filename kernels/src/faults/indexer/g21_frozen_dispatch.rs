//! Group 21: the dispatcher looks at a host number that the graph freezes.
//!
//! Planted: short rows get one block, long rows one for each 64 elements, by the length that the host
//! knows. The result is right either way; the captured choice is only slow, for every later step.
//! Stands for: ROCm/aiter#3773, 2.84 times slower.
//! Found by: a second capture: the grid changes. Clean twin: always the grid of the longest row.

use crate::faults::prelude::*;

/// See the file.
pub const FAULT: Fault = Fault {
    row: "G21",
    name: "frozen-dispatch",
    group: Group::Indexer,
    title: "chooses the grid by a length on the host",
    stands_for: "ROCm/aiter#3773",
    expected: Expected::new(Id::V01, Check::BakedValues),
    sticky: None,
    hangs: false,
    step,
    file: file!(),
};

fn step(variant: Variant) -> Planted {
    let now = Arc::new(AtomicU64::new(0));
    let chosen = Arc::clone(&now);
    let plant = Plant::indexer(FAULT.name, Lane::Fused)?;
    let lane = plant.ground();
    plant
        .with([BufferSpec::input("row", DType::F32, [512]), BufferSpec::output("scaled", DType::F32, [512])])
        .fill(|index, inputs| {
            for (i, score) in inputs.slice_mut::<f32>("row")?.iter_mut().enumerate() {
                *score = varied(index, 21, i as u64);
            }
            Ok(())
        })
        .prepare(move |index, _| {
            chosen.store(index, Ordering::Relaxed);
            Ok(())
        })
        .record(move |cx| {
            lane.record(cx)?;
            let length = 64 + now.load(Ordering::Relaxed) as u32 % 3 * 200;
            let blocks = if variant.planted() { length.div_ceil(64) } else { 8 };
            let launch = Launch::new("scale_strided").grid([blocks, 1, 1]).block([64, 1, 1]);
            cx.launch(launch.buffer("row").buffer("scaled").value(2f32).value(512u32))
        })
        .step()
}
