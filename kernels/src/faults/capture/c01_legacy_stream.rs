//! C01: the step uses the legacy default stream beside its own.
//!
//! Planted: a memset on stream 0, which waits for every blocking stream and is waited for by them.
//! Stands for: aws/aws-ofi-nccl#1342, "disallowed implicit dependency" (906).
//! Found by: the capture, at the call. Clean twin: the memset is on the step's stream.

use crate::faults::prelude::*;

/// See the file.
pub const FAULT: Fault = Fault {
    row: "C01",
    name: "legacy-stream",
    group: Group::Capture,
    title: "enqueues on the legacy default stream",
    stands_for: "aws/aws-ofi-nccl#1342",
    expected: Expected::new(Id::C01, Check::Capture),
    sticky: None,
    hangs: false,
    step,
    file: file!(),
};

fn step(variant: Variant) -> Planted {
    Plant::small(FAULT.name)?
        .with([BufferSpec::scratch("side", DType::F32, [N as usize])])
        .record(move |cx| {
            let stream = if variant.planted() { raw::LEGACY } else { cx.stream() };
            let side = cx.address("side")?;
            cx.check("cuMemsetD8Async", raw::memset_async(side, 0, N as usize * 4, stream))?;
            cx.launch(scale(3.0))
        })
        .step()
}
