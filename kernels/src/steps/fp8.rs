//! The fused lane in e4m3: queries and keys are turned into it, one scale a vector, then streamed as ever.

use graphproof_harness::context::{Launch, StepContext};
use graphproof_harness::error::StepResult;
use graphproof_harness::step::{BufferSpec, DType};

use super::fused;
use super::lane::extents;
use crate::layout;
use crate::shape::Shape;

pub(super) fn buffers(shape: &Shape) -> Vec<BufferSpec> {
    let [sq, sk, b, h, d, _] = extents(shape);
    let mut buffers = fused::buffers(shape);
    buffers.push(BufferSpec::scratch("q_e4m3", DType::E4m3, [sq, b, h, d]));
    buffers.push(BufferSpec::scratch("k_e4m3", DType::E4m3, [sk, b, d]));
    buffers.push(BufferSpec::scratch("w_scaled", DType::F32, [sq, b, h]));
    buffers.push(BufferSpec::scratch("k_scale", DType::F32, [sk, b]));
    buffers
}

pub(super) fn record(shape: &Shape, cx: &mut StepContext<'_>) -> StepResult<()> {
    let Shape { sq, b, d, .. } = *shape;
    let (capacity, shared) = layout::fused_fp8(shape);
    let (queries, keys) = layout::to_fp8_vectors(shape);
    let launch = Launch::new(format!("to_fp8_d{d}")).grid([layout::to_fp8_blocks(shape), 1, 1]).block([
        layout::TO_FP8_THREADS,
        1,
        1,
    ]);
    let launch = ["q", "k", "w", "q_e4m3", "k_e4m3", "w_scaled", "k_scale"].into_iter().fold(launch, Launch::buffer);
    cx.launch(launch.value(queries).value(keys))?;
    // The kernel sets the bits of its picks only.
    cx.memset("bits", 0)?;
    let launch = Launch::new(format!("fused_fp8_d{d}"))
        .grid([sq.div_ceil(layout::WGMMA_ROWS), b, 1])
        .block([layout::WGMMA_THREADS, 1, 1])
        .shared(shared);
    let launch = launch.buffer("q_e4m3").tensor_map("k_e4m3", fused::key_tiles(shape, DType::E4m3));
    let launch = launch.buffer("k_scale").buffer("w_scaled");
    cx.launch(fused::with_rows(launch, shape, capacity))
}
