//! The decode lane: append to the index cache and score it over the whole chip, select, advance.

use graphproof_harness::context::{Launch, StepContext};
use graphproof_harness::error::StepResult;
use graphproof_harness::step::{BufferSpec, DType, HostBuffers};

use super::lane::extents;
use crate::inputs;
use crate::layout;
use crate::shape::Shape;

/// Where a row of several blocks lists the keys that can be among its best.
const PASSED: &str = "passed";
/// A position that is neither near topk nor near the end of the default cache.
const FEW: u32 = 256;

pub(super) fn buffers(shape: &Shape) -> Vec<BufferSpec> {
    let [_, sk, b, h, d, topk] = extents(shape);
    let splits = layout::splits(shape) as usize;
    let mut buffers = vec![
        BufferSpec::input("q", DType::Bf16, [1, b, h, d]),
        BufferSpec::input("w", DType::F32, [1, b, h]),
        BufferSpec::input("new_key", DType::Bf16, [1, b, d]),
        BufferSpec::input("start", DType::I32, [b, 1]),
        BufferSpec::input("end", DType::I32, [b, 1]),
        BufferSpec::state("cache", DType::Bf16, [sk, b, d]),
        BufferSpec::state("position", DType::U32, [b]),
        BufferSpec::scratch("candidates", DType::U32, [b, sk]),
        BufferSpec::scratch("split_max", DType::F32, [b, splits]),
        BufferSpec::scratch("split_sum", DType::F32, [b, splits]),
        BufferSpec::scratch("split_bound", DType::U32, [b, splits]),
        BufferSpec::scratch("tally", DType::U32, [b, 4]),
        BufferSpec::output("index", DType::I32, [b, 1, topk]),
        BufferSpec::output("score", DType::Bf16, [b, 1, topk]),
        BufferSpec::output("max", DType::F32, [b, 1]),
        BufferSpec::output("sum_exp", DType::F32, [b, 1]),
        BufferSpec::output("bits", DType::U32, [b, 1, layout::mask_words(shape) as usize]),
    ];
    if layout::decode_select(shape).0 > 1 {
        buffers.push(BufferSpec::scratch(PASSED, DType::U64, [b, sk]));
    }
    buffers
}

/// Where the position of `batch` starts: just before the cache wraps round, at an empty cache,
/// before topk, or before a few hundred keys; seed and batch choose.
fn first_position(shape: &Shape, seed: u64, batch: u64) -> u32 {
    let last = shape.sk - 1;
    match seed.wrapping_add(batch) % 4 {
        0 => last - last / 16,
        1 => 0,
        2 => shape.topk.saturating_sub(8).min(last),
        _ => FEW.saturating_sub(8).min(last),
    }
}

pub(super) fn init_state(shape: &Shape, seed: u64, state: &mut HostBuffers) -> StepResult<()> {
    inputs::fill_cache(seed, state.slice_mut("cache")?);
    for (batch, position) in state.slice_mut::<u32>("position")?.iter_mut().enumerate() {
        *position = first_position(shape, seed, batch as u64);
    }
    Ok(())
}

pub(super) fn record(shape: &Shape, cx: &mut StepContext<'_>) -> StepResult<()> {
    let Shape { sk, b, h, d, topk, .. } = *shape;
    let splits = layout::splits(shape);
    let score = Launch::new(format!("decode_score_d{d}_h{}", layout::decode_heads(shape)))
        .grid([splits, b, 1])
        .block([layout::DECODE_THREADS, 1, 1])
        .shared(layout::decode_score_shared(shape));
    let score = ["q", "cache", "new_key", "w", "start", "end", "position"].into_iter().fold(score, Launch::buffer);
    let score = ["candidates", "split_max", "split_sum", "split_bound", "tally", "bits"]
        .into_iter()
        .fold(score, Launch::buffer);
    cx.launch([sk, b, h, layout::split_keys(shape), topk].into_iter().fold(score, Launch::value))?;
    // Last: it advances the position, whose old value the other one reads.
    let (parts, threads) = layout::decode_select(shape);
    let passed = if parts > 1 { PASSED } else { "candidates" };
    let select = Launch::new("decode_select")
        .grid([parts + 1, b, 1])
        .block([threads, 1, 1])
        .shared(layout::decode_select_shared(shape));
    let select = ["candidates", passed, "split_max", "split_sum", "split_bound", "tally"]
        .into_iter()
        .fold(select, Launch::buffer);
    let select = ["index", "score", "max", "sum_exp", "bits", "position"].into_iter().fold(select, Launch::buffer);
    cx.launch([splits, sk, topk].into_iter().fold(select, Launch::value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_start_near_every_boundary() {
        let shape = Shape { b: 4, ..Shape::default() };
        assert_eq!([0, 1, 2, 3].map(|batch| first_position(&shape, 0, batch)), [480, 0, 56, 248]);
        let tiny = Shape { sk: 1, topk: 1, ..shape };
        assert_eq!([0, 1, 2, 3].map(|batch| first_position(&tiny, 0, batch)), [0; 4]);
    }
}
