//! Group 5: the picks go to an output that is allocated in each call.
//!
//! Planted: a caching allocator of the step hands out one of two blocks in turn; the consumer reads the
//! block of its own call. The graph keeps the block of the capture.
//! Stands for: NVIDIA/TensorRT-LLM#16290, `torch.empty` in each forward.
//! Found by: a second capture: the address moves. Clean twin: one block for all calls.

use crate::faults::prelude::*;

/// See the file.
pub const FAULT: Fault = Fault {
    row: "G05",
    name: "output-per-call",
    group: Group::Indexer,
    title: "takes another output block in each call",
    stands_for: "NVIDIA/TensorRT-LLM#16290",
    expected: Expected::new(Id::A09, Check::BakedValues),
    sticky: None,
    hangs: false,
    step,
    file: file!(),
};

fn step(variant: Variant) -> Planted {
    let calls = AtomicU64::new(0);
    let plant = Plant::indexer(FAULT.name, Lane::Fused)?;
    let lane = plant.ground();
    let picks = lane.shape().sq as usize * lane.shape().topk as usize;
    plant
        .with([
            BufferSpec::scratch("blocks", DType::I32, [2, picks]),
            BufferSpec::output("consumed", DType::I32, [picks]),
        ])
        .record(move |cx| {
            lane.record(cx)?;
            let block = if variant.planted() { calls.fetch_add(1, Ordering::Relaxed) % 2 } else { 0 };
            let bytes = picks * 4;
            let block = cx.address("blocks")? + block * bytes as u64;
            let (index, consumed, stream) = (cx.address("index")?, cx.address("consumed")?, cx.stream());
            cx.check("cuMemcpyDtoDAsync_v2", raw::copy_async(block, index, bytes, stream))?;
            cx.check("cuMemcpyDtoDAsync_v2", raw::copy_async(consumed, block, bytes, stream))
        })
        .step()
}
