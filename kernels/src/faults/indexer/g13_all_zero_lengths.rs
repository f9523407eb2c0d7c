//! Group 13: the schedule is built from lengths that are all zero.
//!
//! Planted: the blocks' shares of the total length are looked up in a prefix sum. With a total of zero no
//! prefix ever exceeds the share, and the search walks out of the array.
//! Stands for: vllm-project/vllm#51970 and deepseek-ai/DeepGEMM#399: `zeros((128, 1))` is enough.
//! Found by: an eager run on dummy inputs. Clean twin: stops at the last batch.

use crate::faults::prelude::*;

/// See the file.
pub const FAULT: Fault = Fault {
    row: "G13",
    name: "all-zero-lengths",
    group: Group::Indexer,
    title: "walks past the prefix sum when all lengths are zero",
    stands_for: "vllm-project/vllm#51970",
    expected: Expected::new(Id::V11, Check::DummyInputs),
    sticky: Some("a kernel faults, which makes the context unusable"),
    hangs: false,
    step,
    file: file!(),
};

fn step(variant: Variant) -> Planted {
    const BATCHES: u32 = 32;
    let plant = Plant::indexer(FAULT.name, Lane::Fused)?;
    let lane = plant.ground();
    plant
        .with([
            BufferSpec::input("context_lens", DType::I32, [BATCHES as usize]),
            BufferSpec::output("schedule", DType::I32, [8]),
        ])
        .fill(|index, inputs| {
            for (batch, length) in inputs.slice_mut::<i32>("context_lens")?.iter_mut().enumerate() {
                *length = 1 + (index as i32 * 31 + batch as i32 * 17) % 300;
            }
            Ok(())
        })
        .dummy(|inputs| {
            inputs.slice_mut::<i32>("context_lens")?.fill(0);
            Ok(())
        })
        .record(move |cx| {
            let guarded = u32::from(!variant.planted());
            let launch = Launch::new("balance").buffer("context_lens").buffer("schedule");
            cx.launch(launch.value(guarded).value(BATCHES).value(8u32))?;
            lane.record(cx)
        })
        .step()
}
