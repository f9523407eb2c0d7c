//! What follows the scores in the materialized and the streamed lane: top-k and additive mask.

use graphproof_harness::context::{Launch, StepContext};
use graphproof_harness::error::StepResult;
use graphproof_harness::step::{BufferSpec, DType};

use super::lane::extents;
use crate::layout;
use crate::shape::Shape;

/// Threads of the elementwise kernels.
const THREADS: u32 = 256;
/// Cells that a thread of `mask_fill` writes, striding, unless the grid would exceed FILL_BLOCKS.
const FILL_CELLS: u64 = 8;
/// Blocks of `mask_fill` at most.
const FILL_BLOCKS: u64 = 1024;

/// Score matrix and mask, both [b, sq, sk] fp32.
pub(super) fn buffers(shape: &Shape) -> [BufferSpec; 2] {
    let [sq, sk, b, ..] = extents(shape);
    [BufferSpec::scratch("scores", DType::F32, [b, sq, sk]), BufferSpec::output("mask", DType::F32, [b, sq, sk])]
}

/// Top-k of "scores" into "index" and "score", then "mask".
pub(super) fn record(shape: &Shape, cx: &mut StepContext<'_>) -> StepResult<()> {
    let Shape { sq, sk, b, topk, .. } = *shape;
    cx.launch(
        Launch::new("topk_rows")
            .grid([sq, b, 1])
            .block([layout::select_threads(sk), 1, 1])
            .shared(layout::select_shared_bytes(topk))
            .buffer("scores")
            .buffer("start")
            .buffer("end")
            .buffer("index")
            .buffer("score")
            .value(sq)
            .value(sk)
            .value(topk),
    )?;
    let cells = u64::from(b) * u64::from(sq) * u64::from(sk);
    let blocks = cells.div_ceil(u64::from(THREADS) * FILL_CELLS).min(FILL_BLOCKS) as u32;
    cx.launch(Launch::new("mask_fill").grid([blocks, 1, 1]).block([THREADS, 1, 1]).buffer("mask").value(cells))?;
    cx.launch(
        Launch::new("mask_scatter")
            .grid([sq, b, 1])
            .block([topk.next_multiple_of(layout::WARP).min(THREADS), 1, 1])
            .buffer("mask")
            .buffer("index")
            .value(sq)
            .value(sk)
            .value(topk),
    )
}
