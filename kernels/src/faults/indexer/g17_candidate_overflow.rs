//! Group 17: candidates above exactly 16,384 are dropped.
//!
//! Planted: candidates above the threshold are collected in the order of arrival into 16,384 cells. One
//! more, and which of them is lost depends on the order.
//! Stands for: vllm-project/vllm#51782: 16,384 clean, 16,385 wrong.
//! Found by: the control, eager against eager, on sets of indices. Clean twin: exactly 16,384 candidates.

use crate::faults::prelude::*;

/// See the file.
pub const FAULT: Fault = Fault {
    row: "G17",
    name: "candidate-overflow",
    group: Group::Indexer,
    title: "drops candidates above exactly 16,384",
    stands_for: "vllm-project/vllm#51782",
    expected: Expected::new(Id::V07, Check::Bits),
    sticky: None,
    hangs: false,
    step,
    file: file!(),
};

fn step(variant: Variant) -> Planted {
    const CAPACITY: u32 = 16_384;
    let candidates = if variant.planted() { CAPACITY + 1 } else { CAPACITY };
    Plant::small(FAULT.name)?
        .buffers([
            BufferSpec::input("scores", DType::F32, [candidates as usize]),
            BufferSpec::output("picks", DType::I32, [CAPACITY as usize]).contract(Agreement::IndexSet, Valid::All),
            BufferSpec::output("count", DType::U32, [1]),
        ])
        .record(move |cx| {
            // Every score lies above the threshold: one coarse bin holds them all.
            let launch = Launch::new("collect_above").buffer("scores").buffer("picks").buffer("count");
            cx.launch(launch.value(-1f32).value(1u32).value(CAPACITY).value(candidates))
        })
        .step()
}
