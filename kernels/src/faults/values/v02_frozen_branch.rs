//! V02: the host takes one branch or another, and the graph keeps the first.
//!
//! Planted: in every third step the host launches another kernel.
//! Stands for: tracel-ai/cubecl#1612 and NVIDIA's dl-cuda-graph guide, "numerical errors".
//! Found by: a second capture on other inputs. Clean twin: one kernel for all steps.

use crate::faults::prelude::*;

/// See the file.
pub const FAULT: Fault = Fault {
    row: "V02",
    name: "frozen-branch",
    group: Group::Values,
    title: "launches another kernel in some steps",
    stands_for: "tracel-ai/cubecl#1612",
    expected: Expected::new(Id::V02, Check::BakedValues),
    sticky: None,
    hangs: false,
    step,
    file: file!(),
};

fn step(variant: Variant) -> Planted {
    let now = Arc::new(AtomicU64::new(0));
    let chosen = Arc::clone(&now);
    Plant::small(FAULT.name)?
        .prepare(move |index, _| {
            chosen.store(index, Ordering::Relaxed);
            Ok(())
        })
        .record(move |cx| {
            let other = variant.planted() && now.load(Ordering::Relaxed) % 3 == 2;
            let kernel = if other { "scale_strided" } else { "scale" };
            cx.launch(Launch::new(kernel).block([N, 1, 1]).buffer("x").buffer("y").value(3f32).value(N))
        })
        .step()
}
