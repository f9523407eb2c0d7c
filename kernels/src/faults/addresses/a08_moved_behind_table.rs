//! A08: a buffer moves, and the table that the graph is given holds its old address.
//!
//! Planted: before step 6 the buffer of weights is allocated anew; the graph's parameters name only the table,
//! which nobody writes anew.
//! Stands for: workspaces that grow behind a table of addresses.
//! Found by: following the words of the table, where the replay fails or differs. Clean twin: writes the new
//! address into the table.

use crate::faults::prelude::*;

/// See the file.
pub const FAULT: Fault = Fault {
    row: "A08",
    name: "moved-behind-table",
    group: Group::Addresses,
    title: "moves a buffer whose address stands in a table",
    stands_for: "workspaces that grow behind a table of addresses",
    expected: Expected::new(Id::A08, Check::Addresses),
    sticky: Some("the replay reads memory that is not allocated"),
    hangs: false,
    step,
    file: file!(),
};

fn step(variant: Variant) -> Planted {
    let tables: Arc<Mutex<Vec<(u64, u64)>>> = Arc::default();
    let owner = Arc::clone(&tables);
    Plant::small(FAULT.name)?
        .with([BufferSpec::input("w", DType::F32, [N as usize])])
        .prepare(move |index, cx| {
            let mut tables = locked(&owner);
            let x = cx.address("x")?;
            if index == 6 && cx.phase() == Phase::Replay {
                cx.reallocate("w")?;
            }
            let w = cx.address("w")?;
            let known = tables.iter().find(|(of, _)| *of == x).map(|(_, table)| *table);
            let table = match known {
                Some(_) if variant.planted() => return Ok(()),
                Some(table) => table,
                None => {
                    let table = allocated(8)?;
                    tables.push((x, table));
                    table
                }
            };
            cx.check("cuMemcpyHtoD_v2", raw::upload(table, &w.to_ne_bytes()))
        })
        .record(move |cx| {
            let x = cx.address("x")?;
            let table = locked(&tables).iter().find(|(of, _)| *of == x).map(|(_, table)| *table);
            let table = table.ok_or_else(|| StepError::other("the host has filled no table"))?;
            cx.launch(Launch::new("add_through").block([N, 1, 1]).value(table).buffer("x").buffer("y").value(N))
        })
        .step()
}
