//! Group 6: the logits go to an output that is allocated in each call.
//!
//! Planted: as group 5, but for the matrix of scores, which a sampler behind the lane reads: one of two
//! blocks in turn. The graph keeps the block of the capture.
//! Stands for: NVIDIA/TensorRT-LLM#16307, the paged logits of the same engine.
//! Found by: a second capture: the address moves. Clean twin: one block for all calls.

use crate::faults::prelude::*;

/// See the file.
pub const FAULT: Fault = Fault {
    row: "G06",
    name: "logits-per-call",
    group: Group::Indexer,
    title: "takes another block for the logits in each call",
    stands_for: "NVIDIA/TensorRT-LLM#16307",
    expected: Expected::new(Id::A09, Check::BakedValues),
    sticky: None,
    hangs: false,
    step,
    file: file!(),
};

fn step(variant: Variant) -> Planted {
    let calls = AtomicU64::new(0);
    let plant = Plant::indexer(FAULT.name, Lane::Streamed)?;
    let lane = plant.ground();
    let cells = lane.shape().sq as usize * lane.shape().sk as usize;
    plant
        .with([
            BufferSpec::scratch("blocks", DType::F32, [2, cells]),
            BufferSpec::output("consumed", DType::F32, [cells]),
        ])
        .record(move |cx| {
            lane.record(cx)?;
            let block = if variant.planted() { calls.fetch_add(1, Ordering::Relaxed) % 2 } else { 0 };
            let bytes = cells * 4;
            let block = cx.address("blocks")? + block * bytes as u64;
            let (scores, consumed, stream) = (cx.address("scores")?, cx.address("consumed")?, cx.stream());
            cx.check("cuMemcpyDtoDAsync_v2", raw::copy_async(block, scores, bytes, stream))?;
            cx.check("cuMemcpyDtoDAsync_v2", raw::copy_async(consumed, block, bytes, stream))
        })
        .step()
}
