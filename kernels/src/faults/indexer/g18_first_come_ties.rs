//! Group 18: of equal scores, the first to arrive is kept.
//!
//! Planted: scores on a plateau, as ReLU makes them; the picks among them follow the order of arrival.
//! Stands for: sgl-project/sglang#31115 and vllm-project/vllm#55122.
//! Found by: the control, eager against eager. Clean twin: of equal scores the lower index wins.

use crate::faults::prelude::*;

/// See the file.
pub const FAULT: Fault = Fault {
    row: "G18",
    name: "first-come-ties",
    group: Group::Indexer,
    title: "breaks ties by the order of arrival",
    stands_for: "vllm-project/vllm#55122",
    expected: Expected::new(Id::V07, Check::Bits),
    sticky: None,
    hangs: false,
    step,
    file: file!(),
};

fn step(variant: Variant) -> Planted {
    Plant::small(FAULT.name)?
        .buffers([
            BufferSpec::input("scores", DType::F32, [256]),
            BufferSpec::output("best", DType::I32, [8]).contract(Agreement::IndexSet, Valid::All),
        ])
        .fill(|index, inputs| {
            for (i, score) in inputs.slice_mut::<f32>("scores")?.iter_mut().enumerate() {
                *score = (varied(index, 18, i as u64) - 0.98).max(0.0);
            }
            Ok(())
        })
        .record(move |cx| {
            let first_come = u32::from(variant.planted());
            cx.launch(
                Launch::new("pick_largest").buffer("scores").buffer("best").value(first_come).value(8u32).value(256u32),
            )
        })
        .step()
}
