//! Group 4: the scratch of the top-k is allocated anew between replays.
//!
//! Planted: before replay 3 the streamed lane's score matrix gets a new allocation.
//! Stands for: NVIDIA/TensorRT-LLM#14297, radix scratch allocated per call; it showed as a fault in another
//! kernel.
//! Found by: the addresses, before the replay. Clean twin: allocated once.

use crate::faults::prelude::*;

/// See the file.
pub const FAULT: Fault = Fault {
    row: "G04",
    name: "scratch-reallocated",
    group: Group::Indexer,
    title: "reallocates the score matrix between replays",
    stands_for: "NVIDIA/TensorRT-LLM#14297",
    expected: Expected::new(Id::A08, Check::Addresses),
    sticky: None,
    hangs: false,
    step,
    file: file!(),
};

fn step(variant: Variant) -> Planted {
    Plant::indexer(FAULT.name, Lane::Streamed)?
        .prepare(move |index, cx| {
            let moves = variant.planted() && index == 3 && cx.phase() == Phase::Replay;
            if moves { cx.reallocate("scores") } else { Ok(()) }
        })
        .step()
}
