//! V01: a number that changes from step to step goes into the launch by value.
//!
//! Planted: the host chooses the factor anew before each step and passes it as an argument.
//! Stands for: huggingface/candle#3729 and flashinfer-ai/flashinfer#4647 (a host `max_seq_len`).
//! Found by: a second capture. Clean twin: the kernel reads the factor from an input.

use crate::faults::prelude::*;

/// See the file.
pub const FAULT: Fault = Fault {
    row: "V01",
    name: "baked-scalar",
    group: Group::Values,
    title: "passes a number of the step by value",
    stands_for: "flashinfer-ai/flashinfer#4647",
    expected: Expected::new(Id::V01, Check::BakedValues),
    sticky: None,
    hangs: false,
    step,
    file: file!(),
};

fn step(variant: Variant) -> Planted {
    let now = Arc::new(AtomicU64::new(0));
    let chosen = Arc::clone(&now);
    Plant::small(FAULT.name)?
        .with([BufferSpec::input("factor", DType::F32, [1])])
        .fill(|index, inputs| {
            inputs.slice_mut::<f32>("factor")?[0] = varied(index, 1, 0);
            Ok(())
        })
        .prepare(move |index, _| {
            chosen.store(index, Ordering::Relaxed);
            Ok(())
        })
        .record(move |cx| match variant {
            Variant::Planted => cx.launch(scale(varied(now.load(Ordering::Relaxed), 1, 0))),
            Variant::Clean => {
                cx.launch(Launch::new("scale_by").block([N, 1, 1]).buffer("x").buffer("y").buffer("factor").value(N))
            }
        })
        .step()
}
