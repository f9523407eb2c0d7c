//! C09: a capture is begun and never ended.
//!
//! Planted: a helper captures its part on a stream of its own and leaves by an early return. From then
//! on the thread's every unsafe call is refused, far away from here.
//! Stands for: NVIDIA/warp#1957 and pytorch/pytorch#190308.
//! Found by: the harness's own next call, which is refused outside any capture of the harness.
//! Clean twin: ends its capture.

use crate::faults::prelude::*;

/// See the file.
pub const FAULT: Fault = Fault {
    row: "C09",
    name: "capture-left-open",
    group: Group::Capture,
    title: "begins a capture on its own stream and never ends it",
    stands_for: "NVIDIA/warp#1957",
    expected: Expected::new(Id::C09, Check::Capture),
    sticky: Some("the capture stays open on the thread"),
    hangs: false,
    step,
    file: file!(),
};

fn step(variant: Variant) -> Planted {
    let second = OnceLock::new();
    Plant::small(FAULT.name)?
        .record(move |cx| {
            let second = once(&second, raw::Stream::non_blocking)?;
            cx.launch(scale(3.0))?;
            cx.check("cuStreamBeginCapture_v2", raw::begin_capture(second.0))?;
            if variant.planted() {
                return Ok(());
            }
            // The graph is left alone: destroying it would be an unsafe call inside the harness's capture.
            let (result, _graph) = raw::end_capture(second.0);
            cx.check("cuStreamEndCapture", result)?;
            Ok(())
        })
        .step()
}
