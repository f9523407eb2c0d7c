//! The decode lane: append to the index cache, score it in splits, join them, advance.

use graphproof_harness::context::{Launch, StepContext};
use graphproof_harness::error::StepResult;
use graphproof_harness::step::{BufferSpec, DType, HostBuffers};

use super::lane::extents;
use crate::inputs;
use crate::layout;
use crate::shape::Shape;

/// Threads of the append and advance kernels.
const THREADS: u32 = 128;

pub(super) fn buffers(shape: &Shape) -> Vec<BufferSpec> {
    let [_, sk, b, h, d, topk] = extents(shape);
    let (splits, kept) = (layout::splits(shape) as usize, layout::split_kept(shape) as usize);
    vec![
        BufferSpec::input("q", DType::Bf16, [1, b, h, d]),
        BufferSpec::input("w", DType::F32, [1, b, h]),
        BufferSpec::input("new_key", DType::Bf16, [1, b, d]),
        BufferSpec::input("start", DType::I32, [b, 1]),
        BufferSpec::input("end", DType::I32, [b, 1]),
        BufferSpec::state("cache", DType::Bf16, [sk, b, d]),
        BufferSpec::state("position", DType::U32, [b]),
        BufferSpec::scratch("split_keys", DType::U64, [b, splits, kept]),
        BufferSpec::scratch("split_max", DType::F32, [b, splits]),
        BufferSpec::scratch("split_sum", DType::F32, [b, splits]),
        BufferSpec::output("index", DType::I32, [b, 1, topk]),
        BufferSpec::output("score", DType::Bf16, [b, 1, topk]),
        BufferSpec::output("max", DType::F32, [b, 1]),
        BufferSpec::output("sum_exp", DType::F32, [b, 1]),
        BufferSpec::output("bits", DType::U32, [b, 1, layout::mask_words(shape) as usize]),
    ]
}

/// Where the position of `batch` starts: just before the cache wraps round, at an empty cache,
/// before topk, or before the end of the first split; seed and batch choose.
fn first_position(shape: &Shape, seed: u64, batch: u64) -> u32 {
    let last = shape.sk - 1;
    match seed.wrapping_add(batch) % 4 {
        0 => last - last / 16,
        1 => 0,
        2 => shape.topk.saturating_sub(8).min(last),
        _ => layout::SPLIT_KEYS.saturating_sub(8).min(last),
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
    let layout = layout::decode_score(shape);
    let (splits, kept) = (layout::splits(shape), layout::split_kept(shape));
    cx.memset("bits", 0)?;
    cx.launch(
        Launch::new("decode_append")
            .grid([b, 1, 1])
            .block([THREADS, 1, 1])
            .buffer("cache")
            .buffer("new_key")
            .buffer("position")
            .value(sk)
            .value(b)
            .value(d),
    )?;
    cx.launch(
        Launch::new(format!("decode_score_d{d}"))
            .grid([splits, b, 1])
            .block([layout::WARP, 1, 1])
            .shared(layout.shared_bytes)
            .buffer("q")
            .buffer("cache")
            .buffer("w")
            .buffer("start")
            .buffer("end")
            .buffer("position")
            .buffer("split_keys")
            .buffer("split_max")
            .buffer("split_sum")
            .value(sk)
            .value(b)
            .value(h)
            .value(kept)
            .value(layout.capacity),
    )?;
    cx.launch(
        Launch::new("decode_merge")
            .grid([b, 1, 1])
            .block([layout::select_threads(splits * kept), 1, 1])
            .shared(layout::select_shared_bytes(topk))
            .buffer("split_keys")
            .buffer("split_max")
            .buffer("split_sum")
            .buffer("index")
            .buffer("score")
            .buffer("max")
            .buffer("sum_exp")
            .buffer("bits")
            .value(splits)
            .value(kept)
            .value(sk)
            .value(topk),
    )?;
    // Last: every kernel before it reads the old position.
    cx.launch(Launch::new("decode_advance").block([THREADS, 1, 1]).buffer("position").value(b))
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
