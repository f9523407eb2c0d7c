//! Group 3: a boolean mask gives a shape that depends on the data.
//!
//! Planted: the host knows how many rows of this step are in use and launches for exactly these, as
//! `page_table[page_table != -1]` does once its count is on the host.
//! Stands for: sgl-project/sglang#18526.
//! Found by: a second capture: the grid changes. Clean twin: launches for all rows and reads the count.

use crate::faults::prelude::*;

/// See the file.
pub const FAULT: Fault = Fault {
    row: "G03",
    name: "boolean-mask",
    group: Group::Indexer,
    title: "launches for as many rows as the mask keeps",
    stands_for: "sgl-project/sglang#18526",
    expected: Expected::new(Id::V01, Check::BakedValues),
    sticky: None,
    hangs: false,
    step,
    file: file!(),
};

fn step(variant: Variant) -> Planted {
    let kept = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&kept);
    let plant = Plant::indexer(FAULT.name, Lane::Fused)?;
    let lane = plant.ground();
    plant
        .with([
            BufferSpec::input("page", DType::F32, [N as usize]),
            BufferSpec::output("packed", DType::F32, [N as usize]),
        ])
        .fill(|index, inputs| {
            let rows = rows_in_use(index);
            for (row, page) in inputs.slice_mut::<f32>("page")?.iter_mut().enumerate() {
                *page = if (row as u64) < rows { varied(index, 3, row as u64) } else { 0.0 };
            }
            Ok(())
        })
        .prepare(move |index, _| {
            counted.store(rows_in_use(index), Ordering::Relaxed);
            Ok(())
        })
        .record(move |cx| {
            lane.record(cx)?;
            let rows = if variant.planted() { kept.load(Ordering::Relaxed) as u32 } else { N };
            cx.memset("packed", 0)?;
            let launch = Launch::new("scale").grid([rows.div_ceil(8), 1, 1]).block([8, 1, 1]);
            cx.launch(launch.buffer("page").buffer("packed").value(1f32).value(rows))
        })
        .step()
}

fn rows_in_use(index: u64) -> u64 {
    1 + index * 23 % u64::from(N)
}
