//! L04: memory of the process grows with every replay.
//!
//! Planted: before each replay the host appends what it knows of the step to a list that nobody empties.
//! Stands for: kekzl/imp#1648 and ggml-org/llama.cpp#20315, where each step leaves something behind.
//! Found by: the slope of resident memory over the replays. Clean twin: keeps the last step only.

use crate::faults::prelude::*;

/// See the file.
pub const FAULT: Fault = Fault {
    row: "L04",
    name: "host-memory-grows",
    group: Group::Leaks,
    title: "appends to a list before each replay",
    stands_for: "kekzl/imp#1648",
    expected: Expected::new(Id::L04, Check::Growth),
    sticky: None,
    hangs: false,
    step,
    file: file!(),
};

fn step(variant: Variant) -> Planted {
    let history: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());
    Plant::small(FAULT.name)?
        .prepare(move |index, cx| {
            if cx.phase() != Phase::Replay {
                return Ok(());
            }
            let mut history = locked(&history);
            if !variant.planted() {
                history.clear();
            }
            history.push(vec![index as u8 + 1; 1 << 20]);
            Ok(())
        })
        .step()
}
