//! S16: the workspace grows at the first call of a larger shape.
//!
//! Planted: the workspace is warm for the first shape; the first call of twice as many elements finds it too
//! small, and allocates.
//! Stands for: workspaces of libraries that grow with the batch.
//! Found by: a capture at another shape, in a process that ran none of it. Clean twin: large enough from the
//! start.

use crate::faults::prelude::*;

/// See the file.
pub const FAULT: Fault = Fault {
    row: "S16",
    name: "grows-at-another-shape",
    group: Group::Order,
    title: "grows its workspace at the first call of another shape",
    stands_for: "workspaces of libraries that grow with the batch",
    expected: Expected::new(Id::S16, Check::Cold),
    sticky: None,
    hangs: false,
    step,
    file: file!(),
};

/// The workspace, as address and bytes, which all shapes share.
type Workspace = Arc<Mutex<(u64, usize)>>;

fn step(variant: Variant) -> Planted {
    let workspace = Workspace::default();
    let shared = Arc::clone(&workspace);
    at(N, workspace, variant)?.reshaped(move || at(2 * N, Arc::clone(&shared), variant)?.step()).step()
}

fn at(elements: u32, workspace: Workspace, variant: Variant) -> Result<Plant, KernelsError> {
    let early = Arc::clone(&workspace);
    let grown = |workspace: &Workspace, elements: u32| -> StepResult<u64> {
        let mut now = locked(workspace);
        let bytes = elements as usize * 4;
        if now.1 < bytes {
            *now = (allocated(bytes)?, bytes);
        }
        Ok(now.0)
    };
    let buffers = [
        BufferSpec::input("x", DType::F32, [elements as usize]),
        BufferSpec::output("y", DType::F32, [elements as usize]),
    ];
    Ok(Plant::small(FAULT.name)?
        .buffers(buffers)
        .prepare(move |_, _| grown(&early, if variant.planted() { N } else { 2 * N }).map(drop))
        .record(move |cx| {
            let workspace = grown(&workspace, elements)?;
            let scaled = Launch::new("scale").block([elements, 1, 1]);
            cx.launch(scaled.clone().buffer("x").value(workspace).value(3f32).value(elements))?;
            cx.launch(scaled.value(workspace).buffer("y").value(1f32).value(elements))
        }))
}
