//! The fused lanes, on the CUDA cores and on two generations of tensor cores: they share buffers and parameters.

use graphproof_harness::context::{Launch, StepContext};
use graphproof_harness::error::StepResult;
use graphproof_harness::step::{BufferSpec, DType};

use super::Lane;
use super::lane::{common_buffers, extents};
use crate::layout;
use crate::shape::Shape;

pub(super) fn buffers(shape: &Shape) -> Vec<BufferSpec> {
    let [sq, _, b, ..] = extents(shape);
    let mut buffers = common_buffers(shape);
    buffers.push(BufferSpec::output("max", DType::F32, [b, sq]));
    buffers.push(BufferSpec::output("sum_exp", DType::F32, [b, sq]));
    buffers.push(BufferSpec::output("bits", DType::U32, [b, sq, layout::mask_words(shape) as usize]));
    buffers
}

pub(super) fn record(lane: Lane, shape: &Shape, cx: &mut StepContext<'_>) -> StepResult<()> {
    let Shape { sq, sk, b, h, d, topk } = *shape;
    let (kernel, rows, block, shared, capacity) = match lane {
        Lane::FusedWgmma => {
            let (capacity, shared) = layout::fused_wgmma(shape);
            (format!("fused_wgmma_d{d}"), layout::WGMMA_ROWS, layout::WGMMA_THREADS, shared, capacity)
        }
        _ => {
            let (stem, of) = match lane {
                Lane::FusedMma => ("fused_mma", layout::fused_mma(shape)),
                _ => ("fused", layout::fused(shape)),
            };
            (format!("{stem}_d{d}"), of.warps, of.warps * layout::WARP, of.shared_bytes, of.capacity)
        }
    };
    // The kernel sets the bits of its picks only.
    cx.memset("bits", 0)?;
    cx.launch(
        Launch::new(kernel)
            .grid([sq.div_ceil(rows), b, 1])
            .block([block, 1, 1])
            .shared(shared)
            .buffer("q")
            .buffer("k")
            .buffer("w")
            .buffer("start")
            .buffer("end")
            .buffer("index")
            .buffer("score")
            .buffer("max")
            .buffer("sum_exp")
            .buffer("bits")
            .value(sq)
            .value(sk)
            .value(b)
            .value(h)
            .value(topk)
            .value(capacity),
    )
}
