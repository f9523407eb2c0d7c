//! S07: another thread makes a call that the capture forbids.
//!
//! Planted: a watchdog thread synchronises its own stream between two launches of the step, and
//! ignores the answer; the step's next launch then fails for no reason of its own.
//! Stands for: pytorch/pytorch#104555 and sgl-project/sglang#29235, NCCL's watchdog.
//! Found by: the capture; only the call record tells which thread broke it.
//! Clean twin: the thread does nothing.

use crate::faults::prelude::*;

/// See the file.
pub const FAULT: Fault = Fault {
    row: "S07",
    name: "other-thread-sync",
    group: Group::Syncs,
    title: "another thread synchronises while the step is captured",
    stands_for: "pytorch/pytorch#104555",
    expected: Expected::new(Id::S07, Check::Capture).or(&[Id::C12]),
    sticky: None,
    hangs: false,
    step,
    file: file!(),
};

fn step(variant: Variant) -> Planted {
    let other = OnceLock::new();
    Plant::small(FAULT.name)?
        .record(move |cx| {
            let other = once(&other, raw::Stream::non_blocking)?;
            let context = raw::Context::current()?;
            cx.launch(scale(2.0))?;
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    if variant.planted() && context.bind() == CUresult::CUDA_SUCCESS {
                        // A watchdog does not mind being refused.
                        let _ = raw::stream_synchronize(other.0);
                    }
                });
            });
            cx.launch(scale(3.0))
        })
        .step()
}
