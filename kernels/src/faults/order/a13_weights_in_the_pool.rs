//! A13: weights live in a block that the graph's pool gave out at capture.
//!
//! Planted: the captured step takes its temporary from the block in which the host keeps weights; the eager
//! step takes it from the ordinary pool.
//! Stands for: pytorch/pytorch's private pools, blocks of which come back into use after a capture.
//! Found by: what the replay writes beside what eager runs use and write. Clean twin: a block of its own.

use crate::faults::prelude::*;

/// See the file.
pub const FAULT: Fault = Fault {
    row: "A13",
    name: "weights-in-the-pool",
    group: Group::Order,
    title: "keeps weights where each replay writes",
    stands_for: "a block of a private pool that is given out again",
    expected: Expected::new(Id::A13, Check::MemoryOutside).by_memory_only(),
    sticky: None,
    hangs: false,
    step,
    file: file!(),
};

fn step(variant: Variant) -> Planted {
    const BYTES: u64 = N as u64 * 4;
    let pool: Arc<OnceLock<u64>> = Arc::default();
    let weights = Arc::clone(&pool);
    Plant::small(FAULT.name)?
        .prepare(move |_, _| {
            // Filled once, and kept.
            once(&weights, || {
                let pool = allocated(3 * BYTES as usize)?;
                raw::must("cuMemcpyHtoD", raw::upload(pool, &[7; BYTES as usize]))?;
                Ok(pool)
            })
            .map(|_| ())
        })
        .record(move |cx| {
            let pool = *pool.get().ok_or_else(|| StepError::other("the host has made no pool"))?;
            let block = match (raw::is_capturing(cx.stream()), variant.planted()) {
                (false, _) => 1,
                (true, true) => 0,
                (true, false) => 2,
            };
            let (temporary, scaled) = (pool + block * BYTES, Launch::new("scale").block([N, 1, 1]));
            cx.launch(scaled.clone().buffer("x").value(temporary).value(3f32).value(N))?;
            cx.launch(scaled.value(temporary).buffer("y").value(1f32).value(N))
        })
        .step()
}
