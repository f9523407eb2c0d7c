//! C10: a forked stream is destroyed before it is joined.
//!
//! Planted: the side stream is a temporary, dropped at the end of the step; its work was never joined.
//! Stands for: the rule that a destroyed fork must have been joined, as ROCm's tests state it for both
//! vendors (ROCm/hip-tests, catch/unit/graph).
//! Found by: ending the capture; the call record tells of the destruction. Clean twin: joins first.

use crate::faults::prelude::*;

/// See the file.
pub const FAULT: Fault = Fault {
    row: "C10",
    name: "fork-destroyed",
    group: Group::Capture,
    title: "destroys a forked stream before joining it",
    stands_for: "ROCm/hip-tests catch/unit/graph",
    expected: Expected::new(Id::C10, Check::Capture).or(&[Id::C04]),
    sticky: None,
    hangs: false,
    step,
    file: file!(),
};

fn step(variant: Variant) -> Planted {
    let streams = Arc::new(Mutex::new(Vec::new()));
    let laid_out = Arc::clone(&streams);
    let events = OnceLock::new();
    Plant::small(FAULT.name)?
        .with([BufferSpec::scratch("side", DType::F32, [N as usize])])
        .prepare(move |_, cx| {
            // One for each recording: two eager ones, two captures and the held stream.
            if cx.phase() == Phase::Eager {
                let mut streams = locked(&laid_out);
                while streams.len() < 5 {
                    streams.push(raw::Stream::non_blocking()?);
                }
            }
            Ok(())
        })
        .record(move |cx| {
            let (fork, join) = once(&events, || Ok((raw::Event::new()?, raw::Event::new()?)))?;
            let side_stream: raw::Stream = take(&streams)?;
            let side = cx.address("side")?;
            cx.check("cuEventRecord", fork.record(cx.stream()))?;
            cx.check("cuStreamWaitEvent", fork.wait(side_stream.0))?;
            cx.check("cuMemsetD8Async", raw::memset_async(side, 0, N as usize * 4, side_stream.0))?;
            cx.launch(scale(3.0))?;
            if !variant.planted() {
                cx.check("cuEventRecord", join.record(side_stream.0))?;
                cx.check("cuStreamWaitEvent", join.wait(cx.stream()))?;
            }
            cx.check("cuStreamDestroy_v2", raw::stream_destroy(&side_stream))
        })
        .step()
}
