//! L01: memory of the device's default pool grows by less than an allocation a replay.
//!
//! Planted: before every second replay the host takes 4 KiB from the pool and gives nothing back.
//! Stands for: NVIDIA/warp#1429, where only some calls miss the pool's cache.
//! Found by: regression over what the pool says is in use. Clean twin: gives it back.

use crate::faults::prelude::*;

/// See the file.
pub const FAULT: Fault = Fault {
    row: "L01",
    name: "pool-grows-slowly",
    group: Group::Leaks,
    title: "takes memory from the pool before every second replay, and gives none back",
    stands_for: "NVIDIA/warp#1429",
    expected: Expected::new(Id::L01, Check::Growth),
    sticky: None,
    hangs: false,
    step,
    file: file!(),
};

fn step(variant: Variant) -> Planted {
    let replays = AtomicU64::new(0);
    Plant::small(FAULT.name)?
        .prepare(move |_, cx| {
            if cx.phase() != Phase::Replay || !replays.fetch_add(1, Ordering::Relaxed).is_multiple_of(2) {
                return Ok(());
            }
            let (result, address) = raw::mem_alloc_async(4096, cx.stream());
            cx.check("cuMemAllocAsync", result)?;
            match variant {
                Variant::Planted => Ok(()),
                Variant::Clean => cx.check("cuMemFreeAsync", raw::mem_free_async(address, cx.stream())),
            }
        })
        .step()
}
