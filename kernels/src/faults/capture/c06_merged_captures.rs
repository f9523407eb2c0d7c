//! C06: the step joins a capture of its own to the one that it is in.
//!
//! Planted: under capture, a helper captures its part on a second stream and then makes the step's stream
//! wait for it.
//! Stands for: ROCm/rocm-systems#11589, which copies CUDA's refusal.
//! Found by: the capture, at the wait. Clean twin: forks the second stream from the step's instead.

use crate::faults::prelude::*;

/// See the file.
pub const FAULT: Fault = Fault {
    row: "C06",
    name: "merged-captures",
    group: Group::Capture,
    title: "waits across two captures",
    stands_for: "ROCm/rocm-systems#11589",
    expected: Expected::new(Id::C06, Check::Capture),
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
            let (second, fork, join) =
                once(&parts, || Ok((raw::Stream::non_blocking()?, raw::Event::new()?, raw::Event::new()?)))?;
            let side = cx.address("side")?;
            let own_capture = variant.planted() && raw::is_capturing(cx.stream());
            if own_capture {
                cx.check("cuStreamBeginCapture_v2", raw::begin_capture(second.0))?;
            } else {
                cx.check("cuEventRecord", fork.record(cx.stream()))?;
                cx.check("cuStreamWaitEvent", fork.wait(second.0))?;
            }
            cx.check("cuMemsetD8Async", raw::memset_async(side, 0, N as usize * 4, second.0))?;
            cx.check("cuEventRecord", join.record(second.0))?;
            let joined = join.wait(cx.stream());
            if own_capture {
                // Whatever came of it: a capture left open would outlive the step.
                let _ = raw::end_capture(second.0);
            }
            cx.check("cuStreamWaitEvent", joined)?;
            cx.launch(scale(3.0))
        })
        .step()
}
