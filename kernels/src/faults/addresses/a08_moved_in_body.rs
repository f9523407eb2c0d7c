//! A08: a buffer moves that only the body of a conditional node uses.
//!
//! Planted: before step 6 the scratch is allocated anew; its old address stands in a graph within the graph.
//! Stands for: workspaces that grow behind an early exit.
//! Found by: reading the bodies back too. Clean twin: it stays.

use crate::faults::prelude::*;

/// See the file.
pub const FAULT: Fault = Fault {
    row: "A08",
    name: "moved-in-body",
    group: Group::Addresses,
    title: "moves a buffer that only the body of a conditional node uses",
    stands_for: "workspaces that grow behind an early exit",
    expected: Expected::new(Id::A08, Check::Addresses),
    sticky: None,
    hangs: false,
    step,
    file: file!(),
};

fn step(variant: Variant) -> Planted {
    Plant::small(FAULT.name)?
        .with_body(|cx| {
            let scaled = |from: &str, to: &str, factor: f32| {
                Launch::new("scale").block([N, 1, 1]).buffer(from).buffer(to).value(factor).value(N)
            };
            cx.launch(scaled("x", "t", 2.0))?;
            cx.launch(scaled("t", "y", 5.0))
        })
        .prepare(move |index, cx| {
            if variant.planted() && index == 6 && cx.phase() == Phase::Replay { cx.reallocate("t") } else { Ok(()) }
        })
        .step()
}
