//! S02: the step polls its own stream.
//!
//! Planted: a loop of `cuStreamQuery` until the launch is done.
//! Stands for: rapidsai/raft#3121, whose test relies on a query invalidating any capture.
//! Found by: the capture, at the call. Clean twin: without the loop.

use crate::faults::prelude::*;

/// See the file.
pub const FAULT: Fault = Fault {
    row: "S02",
    name: "query-own-stream",
    group: Group::Syncs,
    title: "polls its own stream until it is idle",
    stands_for: "rapidsai/raft#3121",
    expected: Expected::new(Id::S02, Check::Capture),
    sticky: None,
    hangs: false,
    step,
    file: file!(),
};

fn step(variant: Variant) -> Planted {
    Plant::small(FAULT.name)?
        .record(move |cx| {
            cx.launch(scale(3.0))?;
            if variant.planted() {
                let mut answer = raw::stream_query(cx.stream());
                while answer == CUresult::CUDA_ERROR_NOT_READY {
                    std::thread::yield_now();
                    answer = raw::stream_query(cx.stream());
                }
                cx.check("cuStreamQuery", answer)?;
            }
            Ok(())
        })
        .step()
}
