//! Group 10: a counter of arrived blocks grows from launch to launch.
//!
//! Planted: the block that arrives last adds up the partial sums. It knows itself by the ticket of a
//! counter that nobody resets, so from the second launch on no block is the last one.
//! Stands for: vllm-project/vllm#41444, `RadixRowState.arrival_counter`.
//! Found by: the poison in the output that is not written. Clean twin: takes the ticket modulo the blocks.

use crate::faults::prelude::*;

/// See the file.
pub const FAULT: Fault = Fault {
    row: "G10",
    name: "arrival-counter",
    group: Group::Indexer,
    title: "never resets the counter of arrived blocks",
    stands_for: "vllm-project/vllm#41444",
    expected: Expected::new(Id::R02, Check::Bits),
    sticky: None,
    hangs: false,
    step,
    file: file!(),
};

fn step(variant: Variant) -> Planted {
    const BLOCKS: u32 = 4;
    let plant = Plant::indexer(FAULT.name, Lane::Fused)?;
    let lane = plant.ground();
    plant
        .with([
            BufferSpec::input("part", DType::F32, [N as usize]),
            BufferSpec::scratch("partial", DType::F32, [BLOCKS as usize]),
            BufferSpec::state("arrived", DType::U32, [1]),
            BufferSpec::output("total", DType::F32, [1]),
        ])
        .fill(|index, inputs| {
            for (i, part) in inputs.slice_mut::<f32>("part")?.iter_mut().enumerate() {
                *part = varied(index, 10, i as u64);
            }
            Ok(())
        })
        .record(move |cx| {
            lane.record(cx)?;
            let launch = Launch::new("sum_by_last_block").grid([BLOCKS, 1, 1]).buffer("part").buffer("partial");
            let wraps = u32::from(!variant.planted());
            cx.launch(launch.buffer("arrived").buffer("total").value(wraps).value(N / BLOCKS))
        })
        .step()
}
