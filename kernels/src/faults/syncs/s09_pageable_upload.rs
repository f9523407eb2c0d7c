//! S09: a copy from pageable memory holds the host up.
//!
//! Planted: the step uploads a 256 KiB table from a `Vec`. The call is named asynchronous, but the
//! driver has to stage pageable memory and waits for the stream (CUDA driver API, "API
//! synchronization behavior").
//! Stands for: the documented behaviour (CUDA driver API, "API synchronization behavior").
//! Found by: the held stream; the call record names the call that waited.
//! Clean twin: the table lies in pinned memory.

use crate::faults::prelude::*;

/// See the file.
pub const FAULT: Fault = Fault {
    row: "S09",
    name: "pageable-upload",
    group: Group::Syncs,
    title: "uploads from pageable memory, which waits for the stream",
    stands_for: "CUDA driver API, API synchronization behavior",
    expected: Expected::new(Id::S09, Check::StalledStream).or(&[Id::S14, Id::A11]),
    sticky: None,
    hangs: false,
    step,
    file: file!(),
};

fn step(variant: Variant) -> Planted {
    // What a GPU's driver stages without waiting is smaller.
    const BYTES: usize = 4 << 20;
    // As old as the step: the address in the graph stays valid.
    let pageable = vec![1u8; BYTES];
    let pinned = OnceLock::new();
    Plant::small(FAULT.name)?
        .with([BufferSpec::scratch("table", DType::U8, [BYTES])])
        .record(move |cx| {
            let pinned = once(&pinned, || {
                raw::Pinned::new(BYTES).map_err(|error| StepError::Other(format!("cuMemHostAlloc returned {error:?}")))
            })?;
            let source = if variant.planted() { &pageable } else { pinned.bytes() };
            let table = cx.address("table")?;
            cx.launch(scale(3.0))?;
            cx.check("cuMemcpyHtoDAsync_v2", raw::upload_async(table, source, cx.stream()))
        })
        .step()
}
