//! V15: the block that comes first has a duty, and one block leaves before it.
//!
//! Planted: whichever block comes first writes the result. The last one has no element of the batch and leaves
//! before, so that nobody writes it where it is the first to come. A GPU starts blocks in their order, and the test
//! passes for years.
//! Stands for: CUDA Programming Guide, "Thread Hierarchy": blocks may come in any order.
//! Found by: a replay under the order in which what could run last does. Clean twin: the duty first.

use crate::faults::prelude::*;

/// So many that no other run meets the order by chance.
const BLOCKS: u32 = 4096;

/// See the file.
pub const FAULT: Fault = Fault {
    row: "V15",
    name: "last-block-comes-first",
    group: Group::Order,
    title: "gives the first block to come a duty that the last one leaves before",
    stands_for: "CUDA Programming Guide, Thread Hierarchy: blocks may come in any order",
    expected: Expected::new(Id::V15, Check::Orders).by_order_only(),
    sticky: None,
    hangs: false,
    step,
    file: file!(),
};

fn step(variant: Variant) -> Planted {
    let buffers = [
        BufferSpec::input("x", DType::F32, [N as usize]),
        BufferSpec::output("y", DType::F32, [1]),
        BufferSpec::state("arrivals", DType::U32, [1]),
    ];
    Plant::small(FAULT.name)?
        .buffers(buffers)
        .record(move |cx| {
            let leaves = u32::from(variant.planted());
            let first = Launch::new("first_block_writes").grid([BLOCKS, 1, 1]).buffer("x").buffer("y");
            cx.launch(first.buffer("arrivals").value(BLOCKS - leaves))
        })
        .step()
}
