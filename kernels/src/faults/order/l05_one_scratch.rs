//! L05: two branches use one scratch buffer.
//!
//! Planted: both branches put their intermediate result into the same scratch.
//! Stands for: pytorch/pytorch#146351, a workspace that two streams of a capture share.
//! Found by: the bytes that the nodes really touch, beside the edges. Clean twin: a scratch for each.

use crate::faults::prelude::*;

/// See the file.
pub const FAULT: Fault = Fault {
    row: "L05",
    name: "one-scratch",
    group: Group::Order,
    title: "shares one scratch between two branches",
    stands_for: "a cuBLAS workspace that two streams of a capture share",
    expected: Expected::new(Id::L05, Check::OrderOfWork),
    sticky: None,
    hangs: false,
    step,
    file: file!(),
};

fn step(variant: Variant) -> Planted {
    let fork = OnceLock::new();
    Plant::small(FAULT.name)?
        .with([
            BufferSpec::scratch("t", DType::F32, [N as usize]),
            BufferSpec::scratch("u", DType::F32, [N as usize]),
            BufferSpec::output("z", DType::F32, [N as usize]),
        ])
        .record(move |cx| {
            let fork = once(&fork, Fork::new)?;
            let scaled = |from: &'static str, to: &'static str, factor: f32| {
                Launch::new("scale").block([N, 1, 1]).buffer(from).buffer(to).value(factor).value(N)
            };
            let own = if variant.planted() { "t" } else { "u" };
            fork.begin(cx)?;
            cx.launch_on(fork.stream(), scaled("x", own, 2.0))?;
            cx.launch_on(fork.stream(), scaled(own, "z", 1.0))?;
            cx.launch(scaled("x", "t", 3.0))?;
            cx.launch(scaled("t", "y", 1.0))?;
            fork.end(cx)
        })
        .step()
}
