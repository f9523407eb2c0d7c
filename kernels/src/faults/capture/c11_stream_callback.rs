//! C11: the step makes a call that capture does not support.
//!
//! Planted: `cuStreamAddCallback`, which cuda.h says is not supported under capture.
//! Stands for: the documented rule (cuda.h, `cuStreamAddCallback`).
//! Found by: the capture, at the call. Clean twin: `cuLaunchHostFunc`, its successor.

use crate::faults::prelude::*;

/// See the file.
pub const FAULT: Fault = Fault {
    row: "C11",
    name: "stream-callback",
    group: Group::Capture,
    title: "adds a stream callback",
    stands_for: "cuda.h, cuStreamAddCallback",
    expected: Expected::new(Id::C11, Check::Capture),
    sticky: None,
    hangs: false,
    step,
    file: file!(),
};

fn step(variant: Variant) -> Planted {
    let argument = Box::new(0u64);
    Plant::small(FAULT.name)?
        .record(move |cx| {
            cx.launch(scale(3.0))?;
            let stream = cx.stream();
            if variant.planted() {
                cx.check("cuStreamAddCallback", raw::add_callback(stream))
            } else {
                cx.check("cuLaunchHostFunc", raw::launch_host_function(stream, &*argument))
            }
        })
        .step()
}
