//! A09: a block behind a pointer in memory changes hands.
//!
//! Planted: weights live in a block of a pool, and the graph is given a table with their address. Before a
//! later step the pool moves them, makes a new table for whoever asks now, and gives the old block away.
//! The allocation is the same, and so is every word of the graph's own table.
//! Stands for: sgl-project/sglang#26019, metadata that is rebuilt elsewhere instead of in place.
//! Found by: the bits; the finding says that memory behind a pointer in memory differs. Clean twin: the
//! weights stay.

use crate::faults::prelude::*;

/// See the file.
pub const FAULT: Fault = Fault {
    row: "A09",
    name: "block-changes-hands",
    group: Group::Addresses,
    title: "moves what a pointer in memory leads to",
    stands_for: "sgl-project/sglang#26019",
    expected: Expected::new(Id::R01, Check::Bits),
    sticky: None,
    hangs: false,
    step,
    file: file!(),
};

const BYTES: usize = N as usize * 4;

/// The pool, the table of now, the table of the graph.
type Parts = (u64, u64, u64);

fn step(variant: Variant) -> Planted {
    let parts: Arc<Mutex<Option<Parts>>> = Arc::default();
    let owner = Arc::clone(&parts);
    Plant::small(FAULT.name)?
        .prepare(move |index, _| {
            let mut parts = locked(&owner);
            let (pool, ..) = match *parts {
                Some(parts) => parts,
                None => *parts.insert(lay_out()?),
            };
            if index == 6 && variant.planted() {
                let table = parts.as_mut().map(|(_, now, _)| now);
                raw::must("cuMemcpyHtoD", raw::upload(pool + BYTES as u64, &[0x40; BYTES]))?;
                raw::must("cuMemcpyHtoD", raw::upload(pool, &[0x41; BYTES]))?;
                let address = (pool + BYTES as u64).to_ne_bytes();
                table.map_or(Ok(()), |table| raw::must("cuMemcpyHtoD", raw::upload(*table, &address)))?;
            }
            Ok(())
        })
        .record(move |cx| {
            let (_, now, of_graph) = locked(&parts).ok_or_else(|| StepError::other("the host has laid out nothing"))?;
            let table = if variant.planted() && raw::is_capturing(cx.stream()) { of_graph } else { now };
            cx.launch(Launch::new("add_through").block([N, 1, 1]).value(table).buffer("x").buffer("y").value(N))
        })
        .step()
}

fn lay_out() -> StepResult<Parts> {
    let allocate = |bytes| {
        let (result, address) = raw::mem_alloc(bytes);
        raw::must("cuMemAlloc", result).map(|()| address)
    };
    let (pool, now, of_graph) = (allocate(2 * BYTES)?, allocate(8)?, allocate(8)?);
    raw::must("cuMemcpyHtoD", raw::upload(pool, &[0x40; BYTES]))?;
    for table in [now, of_graph] {
        raw::must("cuMemcpyHtoD", raw::upload(table, &pool.to_ne_bytes()))?;
    }
    Ok((pool, now, of_graph))
}
