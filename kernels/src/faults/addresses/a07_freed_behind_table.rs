//! A07: a block is freed, and the table that the graph is given still leads to it.
//!
//! Planted: before step 6 the weights move to a new block and the old one is freed; the table that eager calls
//! use is written anew, the graph's is not.
//! Stands for: block tables of caches that are compacted.
//! Found by: following the words of the table, where the replay fails or differs. Clean twin: writes the new
//! address into both tables.

use crate::faults::prelude::*;

/// See the file.
pub const FAULT: Fault = Fault {
    row: "A07",
    name: "freed-behind-table",
    group: Group::Addresses,
    title: "frees memory that a table of addresses still leads to",
    stands_for: "block tables of caches that are compacted",
    expected: Expected::new(Id::A07, Check::Addresses),
    sticky: Some("the replay reads memory that is not allocated"),
    hangs: false,
    step,
    file: file!(),
};

/// The block of the weights, and a table that holds its address for each set of buffers.
struct Parts {
    block: u64,
    /// The block before.
    old: u64,
    tables: Vec<(u64, u64)>,
}

fn step(variant: Variant) -> Planted {
    const BYTES: usize = N as usize * 4;
    let parts: Arc<Mutex<Parts>> = Arc::new(Mutex::new(Parts { block: 0, old: 0, tables: Vec::new() }));
    let owner = Arc::clone(&parts);
    Plant::small(FAULT.name)?
        .prepare(move |index, cx| {
            let mut parts = locked(&owner);
            let x = cx.address("x")?;
            if parts.block == 0 {
                parts.block = allocated(BYTES)?;
                cx.check("cuMemsetD8_v2", raw::memset_now(parts.block, 0x40, BYTES))?;
            }
            if !parts.tables.iter().any(|(of, _)| *of == x) {
                let table = allocated(8)?;
                cx.check("cuMemcpyHtoD_v2", raw::upload(table, &parts.block.to_ne_bytes()))?;
                parts.tables.push((x, table));
            }
            if index == 6 && cx.phase() == Phase::Eager {
                parts.old = parts.block;
                parts.block = allocated(BYTES)?;
                cx.check("cuMemsetD8_v2", raw::memset_now(parts.block, 0x41, BYTES))?;
                for (of, table) in &parts.tables {
                    if !variant.planted() || *of == x {
                        cx.check("cuMemcpyHtoD_v2", raw::upload(*table, &parts.block.to_ne_bytes()))?;
                    }
                }
            } else if index == 6 {
                cx.check("cuMemFree_v2", raw::mem_free(parts.old))?;
            }
            Ok(())
        })
        .record(move |cx| {
            let x = cx.address("x")?;
            let parts = locked(&parts);
            let table = parts.tables.iter().find(|(of, _)| *of == x).map(|(_, table)| *table);
            let table = table.ok_or_else(|| StepError::other("the host has filled no table"))?;
            cx.launch(Launch::new("add_through").block([N, 1, 1]).value(table).buffer("x").buffer("y").value(N))
        })
        .step()
}
