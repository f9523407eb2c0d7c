//! A14: another graph of the process writes the table that this one reads.
//!
//! Planted: both graphs have the factor in one block; the other graph clears it.
//! Stands for: graphs for several batch sizes with one workspace.
//! Found by: what both graphs touch. Clean twin: a block for each.

use crate::faults::prelude::*;

/// See the file.
pub const FAULT: Fault = Fault {
    row: "A14",
    name: "shared-table",
    group: Group::Order,
    title: "reads a table that another graph of the process writes",
    stands_for: "graphs for several batch sizes with one workspace",
    expected: Expected::new(Id::A14, Check::Together).by_memory_only(),
    sticky: None,
    hangs: false,
    step,
    file: file!(),
};

fn step(variant: Variant) -> Planted {
    let blocks: Arc<OnceLock<u64>> = Arc::default();
    let (filled, read) = (Arc::clone(&blocks), Arc::clone(&blocks));
    let own = move |_: u64, _: &mut HostContext<'_>| {
        once(&filled, || {
            let blocks = allocated(8)?;
            raw::must("cuMemcpyHtoD", raw::upload(blocks, &2f32.to_ne_bytes()))?;
            Ok(blocks)
        })
        .map(drop)
    };
    Plant::small(FAULT.name)?
        .prepare(own)
        .record(move |cx| {
            let factor = read.get().ok_or_else(|| StepError::other("the host has filled nothing"))?;
            cx.launch(Launch::new("scale_by").block([N, 1, 1]).buffer("x").buffer("y").value(*factor).value(N))
        })
        .beside(move || {
            let blocks = Arc::clone(&blocks);
            Plant::small("shared-table-beside")?
                .record(move |cx| {
                    let block = blocks.get().ok_or_else(|| StepError::other("the host has filled nothing"))?;
                    let own = block + if variant.planted() { 0 } else { 4 };
                    cx.check("cuMemsetD8Async", raw::memset_async(own, 0, 4, cx.stream()))?;
                    cx.launch(scale(3.0))
                })
                .step()
        })
        .step()
}
