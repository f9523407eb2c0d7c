//! S08: the host reads a device value inside the step and uses it.
//!
//! Planted: a copy of x[0] into a local of the step, as `.item()` does; the value goes into the launch
//! as an argument. Eagerly the copy waits and the value is right. Under capture nothing is copied: the
//! host reads what the local held before, and the graph keeps the address of a local.
//! Stands for: vllm-project/vllm#36519, `context_lens[i].item()` in the indexer's fallback.
//! Found by: the graph, which copies into the stack. Clean twin: the kernel reads the value.

use crate::faults::prelude::*;

/// See the file.
pub const FAULT: Fault = Fault {
    row: "S08",
    name: "read-back",
    group: Group::Syncs,
    title: "reads a device value back and passes it on by value",
    stands_for: "vllm-project/vllm#36519",
    expected: Expected::new(Id::S08, Check::Structure),
    sticky: None,
    hangs: false,
    step,
    file: file!(),
};

fn step(variant: Variant) -> Planted {
    Plant::small(FAULT.name)?
        .record(move |cx| {
            if !variant.planted() {
                let launch = Launch::new("scale_by").block([N, 1, 1]);
                return cx.launch(launch.buffer("x").buffer("y").buffer("x").value(N));
            }
            let mut local = [0; 4];
            let source = cx.address("x")?;
            cx.check("cuMemcpyDtoHAsync_v2", raw::download_async(&mut local, source, cx.stream()))?;
            cx.launch(scale(f32::from_ne_bytes(std::hint::black_box(local))))
        })
        .step()
}
