//! The fused lanes, on the CUDA cores and on two generations of tensor cores: they share buffers and parameters.

use graphproof_harness::context::{Launch, StepContext};
use graphproof_harness::cuda::Tiled;
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
    let Shape { sq, b, d, .. } = *shape;
    let (kernel, rows, block, shared, capacity) = match lane {
        Lane::FusedWgmma => {
            let (capacity, shared) = layout::fused_wgmma(shape);
            (format!("fused_wgmma_d{d}"), layout::WGMMA_ROWS, layout::WGMMA_THREADS, shared, capacity)
        }
        _ => {
            let (kernel, of) = match lane {
                Lane::FusedMma => {
                    let kernel = format!("fused_mma_d{d}_h{}", layout::mma_heads(shape));
                    (kernel, layout::fused_mma(shape, cx.most_shared()))
                }
                _ => (format!("fused_d{d}"), layout::fused(shape)),
            };
            (kernel, of.warps, of.warps * layout::WARP, of.shared_bytes, of.capacity)
        }
    };
    // The kernel sets the bits of its picks only.
    cx.memset("bits", 0)?;
    let launch = Launch::new(kernel).grid([sq.div_ceil(rows), b, 1]).block([block, 1, 1]).shared(shared);
    let launch = launch.buffer("q");
    let launch = match lane {
        Lane::FusedWgmma => launch.tensor_map("k", key_tiles(shape, DType::Bf16)),
        _ => launch.buffer("k"),
    };
    cx.launch(with_rows(launch.buffer("w"), shape, capacity))
}

/// The keys as the lanes on `wgmma` have them copied: boxes of a tile's keys, 128 bytes of each.
pub(super) fn key_tiles(shape: &Shape, element: DType) -> Tiled {
    let [_, sk, b, _, d, _] = extents(shape).map(|extent| extent as u64);
    let wide = layout::WGMMA_BOX / element.size() as u32;
    Tiled::new(element, [d, b, sk], [wide, 1, layout::TILE_KEYS]).swizzled_by_128()
}

/// The parameters behind queries, keys and weights: limits, outputs, extents and cells of a list.
pub(super) fn with_rows(launch: Launch, shape: &Shape, capacity: u32) -> Launch {
    let Shape { sq, sk, b, h, topk, .. } = *shape;
    let buffers = ["start", "end", "index", "score", "max", "sum_exp", "bits"];
    let launch = buffers.into_iter().fold(launch, Launch::buffer);
    [sq, sk, b, h, topk, capacity].into_iter().fold(launch, Launch::value)
}
