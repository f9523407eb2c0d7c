//! L05: a kernel reads what a side stream writes, before the join.
//!
//! Planted: the side stream is forked and joined, but the kernel that reads its result is enqueued before
//! the join: no path of the graph leads from the writer to the reader.
//! Stands for: vllm-project/vllm#47404, metadata writes that are not ordered before their readers.
//! Found by: the bytes that the nodes really touch, beside the edges. Clean twin: joins first.

use crate::faults::prelude::*;

/// See the file.
pub const FAULT: Fault = Fault {
    row: "L05",
    name: "reads-before-join",
    group: Group::Order,
    title: "reads what a side stream writes, before the join",
    stands_for: "vllm-project/vllm#47404",
    expected: Expected::new(Id::L05, Check::OrderOfWork),
    sticky: None,
    hangs: false,
    step,
    file: file!(),
};

fn step(variant: Variant) -> Planted {
    let fork = OnceLock::new();
    Plant::small(FAULT.name)?
        .with([BufferSpec::scratch("t", DType::F32, [N as usize])])
        .record(move |cx| {
            let fork = once(&fork, Fork::new)?;
            let (x, t) = (cx.address("x")?, cx.address("t")?);
            fork.begin(cx)?;
            cx.check_on(fork.stream(), "cuMemcpyDtoDAsync", raw::copy_async(t, x, N as usize * 4, fork.stream()))?;
            if !variant.planted() {
                fork.end(cx)?;
            }
            cx.launch(Launch::new("scale").block([N, 1, 1]).buffer("t").buffer("y").value(3f32).value(N))?;
            if variant.planted() { fork.end(cx) } else { Ok(()) }
        })
        .step()
}
