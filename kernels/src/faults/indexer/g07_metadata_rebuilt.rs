//! Group 7: the host rebuilds the lengths for a replay instead of copying them in.
//!
//! Planted: before replay 2 the buffer of row ends is allocated anew; the graph reads the old one.
//! Stands for: sgl-project/sglang#26019 and #37975.
//! Found by: the addresses, before the replay. Clean twin: writes into the captured buffer.

use crate::faults::prelude::*;

/// See the file.
pub const FAULT: Fault = Fault {
    row: "G07",
    name: "metadata-rebuilt",
    group: Group::Indexer,
    title: "rebuilds the row ends in a new allocation",
    stands_for: "sgl-project/sglang#26019",
    expected: Expected::new(Id::A08, Check::Addresses),
    sticky: None,
    hangs: false,
    step,
    file: file!(),
};

fn step(variant: Variant) -> Planted {
    Plant::indexer(FAULT.name, Lane::Fused)?
        .prepare(move |index, cx| {
            let rebuilds = variant.planted() && index == 2 && cx.phase() == Phase::Replay;
            if rebuilds { cx.reallocate("end") } else { Ok(()) }
        })
        .step()
}
