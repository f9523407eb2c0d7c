//! A13: the graph's scratch lies over constants that only the eager step reads.
//!
//! Planted: the eager step reads its factor from a table that was filled once; the captured step has a table of its
//! own, and its scratch where the eager step's is.
//! Stands for: a fallback for small batches, whose tables are made at start-up, beside a graph that plans its own pool.
//! Found by: what the replay writes beside what eager runs read; on a GPU by eager runs with either. Clean twin: a
//! block of its own.

use crate::faults::prelude::*;

/// See the file.
pub const FAULT: Fault = Fault {
    row: "A13",
    name: "constants-under-scratch",
    group: Group::Order,
    title: "has its scratch over constants of the eager step",
    stands_for: "a fallback whose tables are made at start-up",
    expected: Expected::new(Id::A13, Check::MemoryOutside).by_memory_only(),
    sticky: None,
    hangs: false,
    step,
    file: file!(),
};

fn step(variant: Variant) -> Planted {
    const BYTES: u64 = N as u64 * 4;
    let pool: Arc<OnceLock<u64>> = Arc::default();
    let filled = Arc::clone(&pool);
    Plant::small(FAULT.name)?
        .prepare(move |_, _| {
            once(&filled, || {
                let pool = allocated(4 * BYTES as usize)?;
                // Both tables.
                for table in [pool, pool + BYTES] {
                    raw::must("cuMemsetD2D32", raw::memset_row(table, 3f32.to_bits(), N as usize))?;
                }
                Ok(pool)
            })
            .map(drop)
        })
        .record(move |cx| {
            let pool = *pool.get().ok_or_else(|| StepError::other("the host has made no pool"))?;
            let (table, scratch) = match (raw::is_capturing(cx.stream()), variant.planted()) {
                (false, _) => (0, 2),
                (true, true) => (1, 0),
                (true, false) => (1, 3),
            };
            let (table, scratch) = (pool + table * BYTES, pool + scratch * BYTES);
            cx.launch(Launch::new("scale").block([N, 1, 1]).buffer("x").value(scratch).value(1f32).value(N))?;
            cx.launch(Launch::new("scale_by").block([N, 1, 1]).value(scratch).buffer("y").value(table).value(N))
        })
        .step()
}
