//! C04: a stream is forked from the capture and not joined to it again.
//!
//! Planted: an event carries the side stream into the capture; the event back is missing.
//! Stands for: deepseek-ai/DeepEP#62 and NVIDIA/warp#1469.
//! Found by: ending the capture. Clean twin: joins.

use crate::faults::prelude::*;

/// See the file.
pub const FAULT: Fault = Fault {
    row: "C04",
    name: "unjoined-fork",
    group: Group::Capture,
    title: "forks a stream and does not join it",
    stands_for: "deepseek-ai/DeepEP#62",
    expected: Expected::new(Id::C04, Check::Capture),
    sticky: None,
    hangs: false,
    step,
    file: file!(),
};

fn step(variant: Variant) -> Planted {
    let parts = OnceLock::new();
    Plant::small(FAULT.name)?
        .with([BufferSpec::scratch("side", DType::F32, [N as usize])])
        .record(move |cx| {
            let (side_stream, fork, join) =
                once(&parts, || Ok((raw::Stream::non_blocking()?, raw::Event::new()?, raw::Event::new()?)))?;
            let side = cx.address("side")?;
            cx.check("cuEventRecord", fork.record(cx.stream()))?;
            cx.check("cuStreamWaitEvent", fork.wait(side_stream.0))?;
            cx.check("cuMemsetD8Async", raw::memset_async(side, 0, N as usize * 4, side_stream.0))?;
            cx.launch(scale(3.0))?;
            if !variant.planted() {
                cx.check("cuEventRecord", join.record(side_stream.0))?;
                cx.check("cuStreamWaitEvent", join.wait(cx.stream()))?;
            }
            Ok(())
        })
        .step()
}
