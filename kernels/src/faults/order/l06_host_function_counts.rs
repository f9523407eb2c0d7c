//! L06: the graph's host function changes pinned memory that another stream uploads.
//!
//! Planted: the host's work before a step uploads a counter on a stream of its own and does not wait; the graph's
//! host function counts it up meanwhile.
//! Stands for: progress that a callback counts while a monitor's stream copies it.
//! Found by: the bytes that change while the host function runs, beside what orders it. Clean twin: waits for the
//! upload.

use crate::faults::prelude::*;

/// See the file.
pub const FAULT: Fault = Fault {
    row: "L06",
    name: "host-function-counts",
    group: Group::Order,
    title: "lets a host function change pinned memory that another stream uploads",
    stands_for: "progress that a callback counts while a monitor's stream copies it",
    expected: Expected::new(Id::L06, Check::OrderOfWork).by_accesses_only(),
    sticky: None,
    hangs: false,
    step,
    file: file!(),
};

/// A counter that the host function changes, the stream that uploads it, and where to.
struct Monitor {
    counter: raw::Pinned,
    stream: raw::Stream,
    shown: u64,
}

fn monitor() -> StepResult<Monitor> {
    let counter = raw::Pinned::new(4).map_err(|error| StepError::other(format!("{error:?}")))?;
    Ok(Monitor { counter, stream: raw::Stream::non_blocking()?, shown: allocated(4)? })
}

fn step(variant: Variant) -> Planted {
    let monitors: Arc<OnceLock<Monitor>> = Arc::default();
    let watched = Arc::clone(&monitors);
    Plant::small(FAULT.name)?
        .prepare(move |_, cx| {
            let Monitor { counter, stream, shown } = once(&watched, monitor)?;
            cx.check("cuMemcpyHtoDAsync", raw::upload_async(*shown, counter.bytes(), stream.handle()))?;
            if variant.planted() {
                return Ok(());
            }
            cx.check("cuStreamSynchronize", raw::stream_synchronize(stream.handle()))
        })
        .record(move |cx| {
            let Monitor { counter, .. } = once(&monitors, monitor)?;
            cx.launch(scale(3.0))?;
            cx.check("cuLaunchHostFunc", raw::count_on_host(cx.stream(), counter))
        })
        .step()
}
