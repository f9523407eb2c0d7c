//! A07: the graph uses memory that was freed after the capture.
//!
//! Planted: the step works in an allocation of its own, which the harness does not know. Before step 3
//! the host frees it and allocates another; eager steps use the new one, the graph the old one.
//! Stands for: vllm-project/vllm#37363 and beehive-lab/TornadoVM#1006.
//! Found by: the addresses, before the replay. Clean twin: keeps its allocation.

use crate::faults::prelude::*;

/// See the file.
pub const FAULT: Fault = Fault {
    row: "A07",
    name: "freed-before-replay",
    group: Group::Addresses,
    title: "frees its own workspace after the capture",
    stands_for: "vllm-project/vllm#37363",
    expected: Expected::new(Id::A07, Check::Addresses),
    sticky: None,
    hangs: false,
    step,
    file: file!(),
};

fn step(variant: Variant) -> Planted {
    let workspace = Arc::new(AtomicU64::new(0));
    let owner = Arc::clone(&workspace);
    Plant::small(FAULT.name)?
        .prepare(move |index, cx| {
            let replaced = variant.planted() && index == 3 && cx.phase() == Phase::Eager;
            let old = owner.load(Ordering::Relaxed);
            if old == 0 || replaced {
                let (result, fresh) = raw::mem_alloc(BYTES);
                cx.check("cuMemAlloc_v2", result)?;
                owner.store(fresh, Ordering::Relaxed);
            }
            if replaced {
                cx.check("cuMemFree_v2", raw::mem_free(old))?;
            }
            Ok(())
        })
        .record(move |cx| {
            let (workspace, x, stream) = (workspace.load(Ordering::Relaxed), cx.address("x")?, cx.stream());
            cx.check("cuMemcpyDtoDAsync_v2", raw::copy_async(workspace, x, BYTES, stream))?;
            cx.launch(Launch::new("scale").block([N, 1, 1]).value(workspace).buffer("y").value(3f32).value(N))
        })
        .step()
}

const BYTES: usize = N as usize * 4;
