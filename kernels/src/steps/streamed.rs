//! The streamed lane: one launch a head into one score matrix, top-k, additive mask.

use graphproof_harness::context::{Launch, StepContext};
use graphproof_harness::error::StepResult;
use graphproof_harness::step::BufferSpec;

use super::lane::common_buffers;
use super::tail;
use crate::layout;
use crate::shape::Shape;

/// Threads of `accumulate_head_d*`.
const THREADS: u32 = 128;
/// Query rows of its block.
const ROWS: u32 = THREADS / layout::WARP * layout::STAGED;

pub(super) fn buffers(shape: &Shape) -> Vec<BufferSpec> {
    let mut buffers = common_buffers(shape);
    buffers.extend(tail::buffers(shape));
    buffers
}

pub(super) fn record(shape: &Shape, cx: &mut StepContext<'_>) -> StepResult<()> {
    let Shape { sq, sk, b, h, d, .. } = *shape;
    for head in 0..h {
        cx.launch(
            Launch::new(format!("accumulate_head_d{d}"))
                .grid([sq.div_ceil(ROWS), sk.div_ceil(layout::TILE_KEYS), b])
                .block([THREADS, 1, 1])
                .shared(layout::score_shared_bytes(d))
                .buffer("scores")
                .buffer("q")
                .buffer("k")
                .buffer("w")
                .value(head)
                .value(sq)
                .value(sk)
                .value(b)
                .value(h),
        )?;
    }
    tail::record(shape, cx)
}
