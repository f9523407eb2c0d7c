//! Group 14: padded rows keep the map of an earlier, larger batch.
//!
//! Planted: the map from rows to blocks is written by the host before each step. For replays the padded
//! rows are skipped, and keep what the last larger batch put there.
//! Stands for: NVIDIA/TensorRT-LLM#12657, stale token-to-sequence maps in padded rows.
//! Found by: the bits. Clean twin: clears the padded rows.

use crate::faults::prelude::*;

/// See the file.
pub const FAULT: Fault = Fault {
    row: "G14",
    name: "stale-padding",
    group: Group::Indexer,
    title: "leaves stale entries in the map of padded rows",
    stands_for: "NVIDIA/TensorRT-LLM#12657",
    expected: Expected::new(Id::R01, Check::Bits),
    sticky: None,
    hangs: false,
    step,
    file: file!(),
};

fn step(variant: Variant) -> Planted {
    let kept = Mutex::new(vec![0i32; N as usize]);
    let plant = Plant::indexer(FAULT.name, Lane::Fused)?;
    let lane = plant.ground();
    let in_use = |index: u64| N as usize - (index as usize * 9) % N as usize;
    plant
        .with([
            BufferSpec::input("block", DType::F32, [N as usize]),
            BufferSpec::state("map", DType::I32, [N as usize]),
            BufferSpec::output("rows", DType::F32, [N as usize]),
        ])
        .fill(|index, inputs| {
            for (i, block) in inputs.slice_mut::<f32>("block")?.iter_mut().enumerate() {
                *block = varied(index, 14, i as u64);
            }
            Ok(())
        })
        .prepare(move |index, cx| {
            let mut map: Vec<i32> = match (variant, cx.phase()) {
                (Variant::Planted, Phase::Replay) => locked(&kept).clone(),
                _ => vec![0; N as usize],
            };
            for (row, at) in map.iter_mut().take(in_use(index)).enumerate() {
                *at = (row as i32 * 5 + index as i32) % N as i32;
            }
            if cx.phase() == Phase::Replay {
                locked(&kept).clone_from(&map);
            }
            let bytes: Vec<u8> = map.iter().flat_map(|at| at.to_ne_bytes()).collect();
            cx.write("map", &bytes)
        })
        .record(move |cx| {
            lane.record(cx)?;
            let launch = Launch::new("gather_rows").block([N, 1, 1]).buffer("block").buffer("map").buffer("rows");
            cx.launch(launch.value(1u32).value(N).value(N))
        })
        .step()
}
