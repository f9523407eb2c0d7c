//! A13: a graph clears more than its own temporary.
//!
//! Planted: under capture the length of the clear is that of the largest bucket, and reaches into the table
//! behind the temporary, which eager runs read elsewhere.
//! Stands for: a memset that is sized for the padded batch, behind which other memory begins.
//! Found by: what the replay writes beside what eager runs use and write. Clean twin: clears its own.

use crate::faults::prelude::*;

/// See the file.
pub const FAULT: Fault = Fault {
    row: "A13",
    name: "clears-too-much",
    group: Group::Order,
    title: "clears memory behind its own temporary",
    stands_for: "a memset that is sized for the padded batch",
    expected: Expected::new(Id::A13, Check::MemoryOutside).by_memory_only(),
    sticky: None,
    hangs: false,
    step,
    file: file!(),
};

fn step(variant: Variant) -> Planted {
    const BYTES: u64 = N as u64 * 4;
    let memory: Arc<OnceLock<u64>> = Arc::default();
    let filled = Arc::clone(&memory);
    Plant::small(FAULT.name)?
        .prepare(move |_, _| {
            let pool = *once(&filled, || {
                let pool = allocated(2 * BYTES as usize)?;
                raw::must("cuMemcpyHtoD", raw::upload(pool + BYTES, &[7; BYTES as usize]))?;
                Ok(pool)
            })?;
            let mut table = [0; BYTES as usize];
            raw::must("cuMemcpyDtoH", raw::download(&mut table, pool + BYTES))
        })
        .record(move |cx| {
            let pool = *memory.get().ok_or_else(|| StepError::other("the host has made no pool"))?;
            let padded = variant.planted() && raw::is_capturing(cx.stream());
            let bytes = if padded { 2 * BYTES } else { BYTES };
            cx.check("cuMemsetD8Async", raw::memset_async(pool, 0, bytes as usize, cx.stream()))?;
            let scaled = Launch::new("scale").block([N, 1, 1]);
            cx.launch(scaled.clone().buffer("x").value(pool).value(3f32).value(N))?;
            cx.launch(scaled.value(pool).buffer("y").value(1f32).value(N))
        })
        .step()
}
