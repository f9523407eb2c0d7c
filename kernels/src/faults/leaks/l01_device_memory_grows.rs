//! L01: device memory grows with every replay.
//!
//! Planted: the host allocates 4 MiB before each replay and frees nothing.
//! Stands for: NVIDIA/warp#1429 and ggml-org/llama.cpp#20315.
//! Found by: the slope of free memory over the replays. Clean twin: frees what it allocated.

use crate::faults::prelude::*;

/// See the file.
pub const FAULT: Fault = Fault {
    row: "L01",
    name: "device-memory-grows",
    group: Group::Leaks,
    title: "allocates before each replay and never frees",
    stands_for: "NVIDIA/warp#1429",
    expected: Expected::new(Id::L01, Check::Growth),
    sticky: None,
    hangs: false,
    step,
    file: file!(),
};

fn step(variant: Variant) -> Planted {
    Plant::small(FAULT.name)?
        .prepare(move |_, cx| {
            if cx.phase() != Phase::Replay {
                return Ok(());
            }
            let (result, address) = raw::mem_alloc(4 << 20);
            cx.check("cuMemAlloc_v2", result)?;
            match variant {
                Variant::Planted => Ok(()),
                Variant::Clean => cx.check("cuMemFree_v2", raw::mem_free(address)),
            }
        })
        .step()
}
