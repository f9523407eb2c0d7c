//! Group 8: a shortcut for short contexts is baked in.
//!
//! Planted: where no row has more keys than topk, the host skips the scoring and clears the outputs.
//! Captured on a short dummy batch, the graph does so for long ones too.
//! Stands for: vllm-project/vllm#52492, silently wrong from 512 keys on.
//! Found by: a second capture on longer rows. Clean twin: scores always.

use crate::faults::prelude::*;

/// See the file.
pub const FAULT: Fault = Fault {
    row: "G08",
    name: "short-context-branch",
    group: Group::Indexer,
    title: "skips the scoring for short contexts, on the host",
    stands_for: "vllm-project/vllm#52492",
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
    let (topk, sk) = (lane.shape().topk, lane.shape().sk);
    let keys = move |index: u64| if index < 2 { topk } else { sk - index as u32 };
    plant
        .fill(move |index, inputs| {
            inputs.slice_mut::<i32>("start")?.fill(0);
            inputs.slice_mut::<i32>("end")?.fill(keys(index) as i32);
            Ok(())
        })
        .prepare(move |index, _| {
            chosen.store(index, Ordering::Relaxed);
            Ok(())
        })
        .record(move |cx| {
            let longest = keys(now.load(Ordering::Relaxed));
            if variant.planted() && longest <= topk {
                for output in ["index", "score", "max", "sum_exp", "bits"] {
                    cx.memset(output, 0)?;
                }
                return Ok(());
            }
            lane.record(cx)
        })
        .step()
}
