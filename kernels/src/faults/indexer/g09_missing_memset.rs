//! Group 9: whether a buffer is cleared is decided at capture.
//!
//! Planted: the accumulator is cleared only where the host expects long rows; the capture happens on short
//! ones, so the graph has no memset, and the sums pile up on whatever was there.
//! Stands for: vllm-project/vllm#41665, `if needs_cooperative: memset`.
//! Found by: a second capture: a node more. Clean twin: clears always.

use crate::faults::prelude::*;

/// See the file.
pub const FAULT: Fault = Fault {
    row: "G09",
    name: "missing-memset",
    group: Group::Indexer,
    title: "clears the accumulator only for long rows",
    stands_for: "vllm-project/vllm#41665",
    expected: Expected::new(Id::V05, Check::BakedValues),
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
        .with([BufferSpec::input("part", DType::F32, [N as usize]), BufferSpec::state("total", DType::F32, [1])])
        .fill(|index, inputs| {
            for (i, part) in inputs.slice_mut::<f32>("part")?.iter_mut().enumerate() {
                *part = varied(index, 9, i as u64);
            }
            Ok(())
        })
        .prepare(move |index, _| {
            chosen.store(index, Ordering::Relaxed);
            Ok(())
        })
        .record(move |cx| {
            lane.record(cx)?;
            let long = now.load(Ordering::Relaxed) > 0;
            if long || !variant.planted() {
                cx.memset("total", 0)?;
            }
            cx.launch(Launch::new("accumulate_sum").buffer("part").buffer("total").value(N))
        })
        .step()
}
