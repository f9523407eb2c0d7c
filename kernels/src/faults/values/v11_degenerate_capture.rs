//! V11: the step faults on the inputs that engines capture with.
//!
//! Planted: rows are looked up by an index from the device. For real batches it is right; for the dummy
//! batch of a warm-up, in which no row is in use, it is far outside.
//! Stands for: deepseek-ai/DeepGEMM#399 and vllm-project/vllm#51970.
//! Found by: an eager run on the step's own dummy inputs. Clean twin: clamps on the device.

use crate::faults::prelude::*;

/// See the file.
pub const FAULT: Fault = Fault {
    row: "V11",
    name: "degenerate-capture",
    group: Group::Values,
    title: "reads out of bounds on dummy inputs",
    stands_for: "deepseek-ai/DeepGEMM#399",
    expected: Expected::new(Id::V11, Check::DummyInputs),
    sticky: Some("a kernel faults, which makes the context unusable"),
    hangs: false,
    step,
    file: file!(),
};

fn step(variant: Variant) -> Planted {
    Plant::small(FAULT.name)?
        .with([BufferSpec::input("map", DType::I32, [N as usize])])
        .fill(|_, inputs| {
            for (row, at) in inputs.slice_mut::<i32>("map")?.iter_mut().enumerate() {
                *at = (row as i32 * 7) % N as i32;
            }
            Ok(())
        })
        .dummy(|inputs| {
            inputs.slice_mut::<i32>("map")?.fill(i32::MAX / 8);
            Ok(())
        })
        .record(move |cx| {
            let bounded = u32::from(!variant.planted());
            let launch = Launch::new("gather_rows").block([N, 1, 1]).buffer("x").buffer("map").buffer("y");
            cx.launch(launch.value(bounded).value(N).value(N))
        })
        .step()
}
