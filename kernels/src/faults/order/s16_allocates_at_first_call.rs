//! S16: the first call allocates its workspace.
//!
//! Planted: the workspace is allocated when the step is recorded for the first time, which a warm-up hides.
//! Stands for: lazily grown workspaces of libraries.
//! Found by: a capture in a process that has not run the step. Clean twin: the host allocates before.

use crate::faults::prelude::*;

/// See the file.
pub const FAULT: Fault = Fault {
    row: "S16",
    name: "allocates-at-first-call",
    group: Group::Order,
    title: "allocates its workspace at the first call",
    stands_for: "lazily grown workspaces of libraries",
    expected: Expected::new(Id::S16, Check::Cold),
    sticky: None,
    hangs: false,
    step,
    file: file!(),
};

fn step(variant: Variant) -> Planted {
    let workspace: Arc<OnceLock<u64>> = Arc::default();
    let early = Arc::clone(&workspace);
    Plant::small(FAULT.name)?
        .prepare(
            move |_, _| if variant.planted() { Ok(()) } else { once(&early, || allocated(N as usize * 4)).map(drop) },
        )
        .record(move |cx| {
            let workspace = *once(&workspace, || allocated(N as usize * 4))?;
            let scaled = Launch::new("scale").block([N, 1, 1]);
            cx.launch(scaled.clone().buffer("x").value(workspace).value(3f32).value(N))?;
            cx.launch(scaled.value(workspace).buffer("y").value(1f32).value(N))
        })
        .step()
}
