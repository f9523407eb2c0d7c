//! C07: another thread ends the capture.
//!
//! Planted: under capture, a worker thread calls `cuStreamEndCapture` on the step's stream.
//! Stands for: the documented rule (cuda.h, `cuStreamEndCapture`: not RELAXED, same thread).
//! Found by: the capture, at the call. Clean twin: leaves the capture to its owner.

use crate::faults::prelude::*;

/// See the file.
pub const FAULT: Fault = Fault {
    row: "C07",
    name: "ended-elsewhere",
    group: Group::Capture,
    title: "ends the capture on another thread",
    stands_for: "cuda.h, cuStreamEndCapture",
    expected: Expected::new(Id::C07, Check::Capture),
    sticky: None,
    hangs: false,
    step,
    file: file!(),
};

fn step(variant: Variant) -> Planted {
    Plant::small(FAULT.name)?
        .record(move |cx| {
            cx.launch(scale(3.0))?;
            if variant.planted() && raw::is_capturing(cx.stream()) {
                let context = raw::Context::current()?;
                let stream = raw::Stream(cx.stream());
                let ended = std::thread::spawn(move || match context.bind() {
                    CUresult::CUDA_SUCCESS => raw::end_capture(stream.handle()).0,
                    error => error,
                });
                let ended = ended.join().map_err(|_| StepError::Other("the worker panicked".to_owned()))?;
                cx.check("cuStreamEndCapture", ended)?;
            }
            Ok(())
        })
        .step()
}
