//! V03: the offset of a random-number generator is passed by value.
//!
//! Planted: noise at an offset that the host advances by 64 in each step.
//! Stands for: pytorch/pytorch#46148 and #172390: each replay draws the same numbers.
//! Found by: a second capture: the value advances evenly. Clean twin: the offset is state on the device.

use crate::faults::prelude::*;

/// See the file.
pub const FAULT: Fault = Fault {
    row: "V03",
    name: "random-offset",
    group: Group::Values,
    title: "advances a random offset on the host",
    stands_for: "pytorch/pytorch#46148",
    expected: Expected::new(Id::V03, Check::BakedValues),
    sticky: None,
    hangs: false,
    step,
    file: file!(),
};

fn step(variant: Variant) -> Planted {
    let now = Arc::new(AtomicU64::new(0));
    let chosen = Arc::clone(&now);
    Plant::small(FAULT.name)?
        .with([BufferSpec::state("offset", DType::U32, [1])])
        .prepare(move |index, _| {
            chosen.store(index, Ordering::Relaxed);
            Ok(())
        })
        .record(move |cx| {
            let noise = |kernel| Launch::new(kernel).block([N, 1, 1]).buffer("x").buffer("y").value(7u32);
            if variant.planted() {
                let offset = now.load(Ordering::Relaxed) as u32 * N;
                return cx.launch(noise("add_noise").value(offset).value(N));
            }
            cx.launch(noise("add_noise_at").buffer("offset").value(N))?;
            cx.launch(Launch::new("advance").buffer("offset").value(N))
        })
        .step()
}
