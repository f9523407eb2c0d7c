//! A09: a cache gives the table of other buffers.
//!
//! Planted: the table of addresses that is made at the first call serves every call, although the buffer is
//! another by then. The graph's parameters are right; what stands behind one of them is not.
//! Stands for: pytorch/helion#2817, launch arguments that are cached beyond the buffers they were made for.
//! Found by: reading what the graph points at, where replays do not agree. Clean twin: a table for each
//! address; the graph's is made when its buffers are used eagerly, before the capture.

use crate::faults::prelude::*;

/// See the file.
pub const FAULT: Fault = Fault {
    row: "A09",
    name: "remembered-table",
    group: Group::Addresses,
    title: "gets the table of other buffers from a cache",
    stands_for: "pytorch/helion#2817",
    expected: Expected::new(Id::A09, Check::Addresses),
    sticky: None,
    hangs: false,
    step,
    file: file!(),
};

fn step(variant: Variant) -> Planted {
    let tables: Mutex<Vec<(u64, u64)>> = Mutex::default();
    Plant::small(FAULT.name)?
        .with([BufferSpec::input("w", DType::F32, [N as usize])])
        .record(move |cx| {
            let w = cx.address("w")?;
            let mut tables = locked(&tables);
            let cached = tables.iter().find(|(of, _)| variant.planted() || *of == w).map(|(_, table)| *table);
            let table = match cached {
                Some(table) => table,
                None => {
                    let (result, table) = raw::mem_alloc(8);
                    cx.check("cuMemAlloc_v2", result)?;
                    cx.check("cuMemcpyHtoD_v2", raw::upload(table, &w.to_ne_bytes()))?;
                    tables.push((w, table));
                    table
                }
            };
            cx.launch(Launch::new("add_through").block([N, 1, 1]).value(table).buffer("x").buffer("y").value(N))
        })
        .step()
}
