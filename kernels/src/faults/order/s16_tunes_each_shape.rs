//! S16: a tuner tries its variants at the first call of each shape.
//!
//! Planted: tuned for the first shape when the step was made; the first call of another launches a candidate
//! more, which becomes a node of the graph.
//! Stands for: autotuners whose cache is keyed by the shape.
//! Found by: a capture at another shape, beside a second one. Clean twin: tuned for both.

use crate::faults::prelude::*;

/// See the file.
pub const FAULT: Fault = Fault {
    row: "S16",
    name: "tunes-each-shape",
    group: Group::Order,
    title: "tries variants at the first call of another shape",
    stands_for: "autotuners whose cache is keyed by the shape",
    expected: Expected::new(Id::S16, Check::Cold),
    sticky: None,
    hangs: false,
    step,
    file: file!(),
};

fn step(variant: Variant) -> Planted {
    let tuned = Arc::new(Mutex::new(if variant.planted() { vec![N] } else { vec![N, 2 * N] }));
    let shared = Arc::clone(&tuned);
    at(N, tuned)?.reshaped(move || at(2 * N, Arc::clone(&shared))?.step()).step()
}

/// The step at a number of elements; the tuner knows the shapes in `tuned`.
fn at(elements: u32, tuned: Arc<Mutex<Vec<u32>>>) -> Result<Plant, KernelsError> {
    let buffers = [
        BufferSpec::input("x", DType::F32, [elements as usize]),
        BufferSpec::output("y", DType::F32, [elements as usize]),
    ];
    Ok(Plant::small(FAULT.name)?.buffers(buffers).record(move |cx| {
        let scaled = |threads: u32| {
            Launch::new("scale").block([threads, 1, 1]).buffer("x").buffer("y").value(3f32).value(threads)
        };
        let mut tuned = locked(&tuned);
        if !tuned.contains(&elements) {
            tuned.push(elements);
            cx.launch(scaled(elements / 2))?;
        }
        cx.launch(scaled(elements))
    }))
}
