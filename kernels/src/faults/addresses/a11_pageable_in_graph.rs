//! A11: the graph keeps the address of pageable host memory.
//!
//! Planted: the step uploads its factor from a `Vec`. The copy becomes a node that reads the heap at
//! each replay, whatever lies there then. (Here the `Vec` lives on, so that the replay is harmless.)
//! Stands for: pytorch/pytorch#161583; cudarc's `clone_htod` does this.
//! Found by: the structure of the graph. Clean twin: the factor lies in pinned memory.

use crate::faults::prelude::*;

/// See the file.
pub const FAULT: Fault = Fault {
    row: "A11",
    name: "pageable-in-graph",
    group: Group::Addresses,
    title: "copies from pageable memory",
    stands_for: "pytorch/pytorch#161583",
    expected: Expected::new(Id::A11, Check::Structure),
    sticky: None,
    hangs: false,
    step,
    file: file!(),
};

fn step(variant: Variant) -> Planted {
    let pageable = 3f32.to_ne_bytes().to_vec();
    let pinned = OnceLock::new();
    Plant::small(FAULT.name)?
        .with([BufferSpec::scratch("factor", DType::F32, [1])])
        .record(move |cx| {
            let pinned = once(&pinned, || {
                let pinned = raw::Pinned::new(4).map_err(|error| StepError::Other(format!("{error:?}")))?;
                pinned.poke(3f32.to_bits());
                Ok(pinned)
            })?;
            let source = if variant.planted() { &pageable } else { pinned.bytes() };
            let (factor, stream) = (cx.address("factor")?, cx.stream());
            cx.check("cuMemcpyHtoDAsync_v2", raw::upload_async(factor, source, stream))?;
            cx.launch(Launch::new("scale_by").block([N, 1, 1]).buffer("x").buffer("y").buffer("factor").value(N))
        })
        .step()
}
