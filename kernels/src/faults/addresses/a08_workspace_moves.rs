//! A08: a workspace grows, and with that moves, after the capture.
//!
//! Planted: before replay 3 the host gives the workspace a new allocation.
//! Stands for: flashinfer-ai/flashinfer#4398: growth frees storage that a graph holds; Xid 31, or silence.
//! Found by: the addresses, before the replay. Clean twin: never moves it.

use crate::faults::prelude::*;

/// See the file.
pub const FAULT: Fault = Fault {
    row: "A08",
    name: "workspace-moves",
    group: Group::Addresses,
    title: "gives a workspace a new allocation between replays",
    stands_for: "flashinfer-ai/flashinfer#4398",
    expected: Expected::new(Id::A08, Check::Addresses),
    sticky: None,
    hangs: false,
    step,
    file: file!(),
};

fn step(variant: Variant) -> Planted {
    Plant::small(FAULT.name)?
        .with([BufferSpec::scratch("workspace", DType::F32, [N as usize])])
        .prepare(move |index, cx| {
            let grows = variant.planted() && index == 3 && cx.phase() == Phase::Replay;
            if grows { cx.reallocate("workspace") } else { Ok(()) }
        })
        .record(|cx| {
            cx.copy("workspace", "x")?;
            cx.launch(Launch::new("scale").block([N, 1, 1]).buffer("workspace").buffer("y").value(3f32).value(N))
        })
        .step()
}
