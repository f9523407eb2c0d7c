//! V13: nothing of the step is in the graph.
//!
//! Planted: under capture the step returns at once, as a fall-back does that is not ready for graphs.
//! Stands for: the warning that PyTorch gives for an empty graph, and alibaba/rtp-llm#1360, which gates on
//! a proof that something is replayed.
//! Found by: the structure of the graph. Clean twin: does not ask.

use crate::faults::prelude::*;

/// See the file.
pub const FAULT: Fault = Fault {
    row: "V13",
    name: "empty-graph",
    group: Group::Values,
    title: "does nothing when it is captured",
    stands_for: "alibaba/rtp-llm#1360",
    expected: Expected::new(Id::V13, Check::Structure),
    sticky: None,
    hangs: false,
    step,
    file: file!(),
};

fn step(variant: Variant) -> Planted {
    Plant::small(FAULT.name)?
        .record(move |cx| {
            if variant.planted() && raw::is_capturing(cx.stream()) {
                return Ok(());
            }
            cx.launch(scale(3.0))
        })
        .step()
}
