//! V05: the number of nodes changes from step to step.
//!
//! Planted: in odd steps the host clears a buffer first.
//! Stands for: ggml-org/llama.cpp#19345, graphs whose shape follows the batch.
//! Found by: a second capture. Clean twin: clears in every step.

use crate::faults::prelude::*;

/// See the file.
pub const FAULT: Fault = Fault {
    row: "V05",
    name: "node-comes-and-goes",
    group: Group::Values,
    title: "enqueues a memset in some steps only",
    stands_for: "ggml-org/llama.cpp#19345",
    expected: Expected::new(Id::V05, Check::BakedValues),
    sticky: None,
    hangs: false,
    step,
    file: file!(),
};

fn step(variant: Variant) -> Planted {
    let now = Arc::new(AtomicU64::new(0));
    let chosen = Arc::clone(&now);
    Plant::small(FAULT.name)?
        .with([BufferSpec::scratch("side", DType::F32, [N as usize])])
        .prepare(move |index, _| {
            chosen.store(index, Ordering::Relaxed);
            Ok(())
        })
        .record(move |cx| {
            if !variant.planted() || now.load(Ordering::Relaxed) % 2 == 1 {
                cx.memset("side", 0)?;
            }
            cx.launch(scale(3.0))
        })
        .step()
}
