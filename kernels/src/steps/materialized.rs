//! The materialized lane: slab, head sum, top-k, additive mask.

use graphproof_harness::context::{Launch, StepContext};
use graphproof_harness::error::StepResult;
use graphproof_harness::step::{BufferSpec, DType};

use super::lane::{common_buffers, extents};
use super::tail;
use crate::layout;
use crate::shape::Shape;

/// Threads of `slab_dots_d*` (four query rows) and of `head_sum`.
const THREADS: u32 = 128;

pub(super) fn buffers(shape: &Shape) -> Vec<BufferSpec> {
    let [sq, sk, b, h, ..] = extents(shape);
    let mut buffers = common_buffers(shape);
    buffers.push(BufferSpec::scratch("slab", DType::F32, [sq, b, h, sk]));
    buffers.extend(tail::buffers(shape));
    buffers
}

pub(super) fn record(shape: &Shape, cx: &mut StepContext<'_>) -> StepResult<()> {
    let Shape { sq, sk, b, h, d, .. } = *shape;
    cx.launch(
        Launch::new(format!("slab_dots_d{d}"))
            .grid([sq.div_ceil(THREADS / layout::WARP), sk.div_ceil(layout::TILE_KEYS), b])
            .block([THREADS, 1, 1])
            .shared(layout::score_shared_bytes(d))
            .buffer("slab")
            .buffer("q")
            .buffer("k")
            .value(sq)
            .value(sk)
            .value(b)
            .value(h),
    )?;
    cx.launch(
        Launch::new("head_sum")
            .grid([sq, sk.div_ceil(THREADS), b])
            .block([THREADS, 1, 1])
            .buffer("scores")
            .buffer("slab")
            .buffer("w")
            .value(sq)
            .value(sk)
            .value(b)
            .value(h),
    )?;
    tail::record(shape, cx)
}
