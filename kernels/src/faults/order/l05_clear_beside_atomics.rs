//! L05: a counter is cleared beside the atomic additions to it.
//!
//! Planted: the clear stands in one branch of the graph, the additions in another. Atomics order
//! themselves among each other, and not with a memset.
//! Stands for: arrival counters that are reset on a stream of their own.
//! Found by: atomics and plain writes told apart. Clean twin: both branches add, and the clear is before.

use crate::faults::prelude::*;

/// See the file.
pub const FAULT: Fault = Fault {
    row: "L05",
    name: "clear-beside-atomics",
    group: Group::Order,
    title: "clears a counter beside atomic additions to it",
    stands_for: "arrival counters that are reset on a stream of their own",
    expected: Expected::new(Id::L05, Check::OrderOfWork),
    sticky: None,
    hangs: false,
    step,
    file: file!(),
};

fn step(variant: Variant) -> Planted {
    let fork = OnceLock::new();
    Plant::small(FAULT.name)?
        .module("add_atomic", ADD_ATOMIC)
        .with([BufferSpec::output("total", DType::U32, [1])])
        .record(move |cx| {
            let fork = once(&fork, Fork::new)?;
            let (main, total) = (cx.stream(), cx.address("total")?);
            let add = || Launch::new("add_atomic").block([N, 1, 1]).buffer("total");
            if !variant.planted() {
                cx.check("cuMemsetD8Async", raw::memset_async(total, 0, 4, main))?;
            }
            fork.begin(cx)?;
            if variant.planted() {
                cx.check_on(fork.stream(), "cuMemsetD8Async", raw::memset_async(total, 0, 4, fork.stream()))?;
            } else {
                cx.launch_on(fork.stream(), add())?;
            }
            cx.launch(add())?;
            fork.end(cx)?;
            cx.launch(scale(3.0))
        })
        .step()
}
