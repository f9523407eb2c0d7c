//! Launch geometry: grids, blocks and shared memory. The twins of the layouts in `cu/`.

use crate::shape::Shape;

/// Threads of a warp.
pub const WARP: u32 = 32;
/// Keys of a tile (`TILE_KEYS` in common.cuh).
pub const TILE_KEYS: u32 = 64;
/// Keys that one block of `decode_score` streams (`SPLIT_KEYS` in decode.cu).
pub const SPLIT_KEYS: u32 = 256;
/// Query vectors that a warp stages at once (`STAGED` in score.cuh).
pub const STAGED: u32 = 8;
/// Heads of one tensor-core product (`MMA_HEADS` in fused_mma.cu).
const MMA_HEADS: u32 = 16;
/// Query rows of a block of `fused_wgmma_d*` (`ROWS` in fused_wgmma.cu).
pub const WGMMA_ROWS: u32 = 4;
/// Threads of a block of `fused_wgmma_d*`: two warpgroups that multiply, one that copies.
pub const WGMMA_THREADS: u32 = 3 * 128;
/// Heads of a row that `fused_wgmma_d*` has room for (`ROW_HEADS`).
pub const WGMMA_HEADS: u32 = 64;
/// Key tiles under way at once (`STAGES` in fused_wgmma.cu).
const WGMMA_STAGES: u32 = 3;
/// Room for `BlockState` of fused_wgmma.cu.
const WGMMA_STATE: u32 = 5632;
/// Bytes of a radix histogram.
const HISTOGRAM: u32 = 256 * 4;
/// Dynamic shared memory that every GPU since sm_80 grants a block (99 KiB, sm_86 and sm_89).
const SHARED_LIMIT: u32 = 99 * 1024;

/// How a fused kernel is launched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FusedLayout {
    /// Warps of a block; each owns a query row.
    pub warps: u32,
    /// Cells of a warp's candidate buffer.
    pub capacity: u32,
    /// Dynamic shared memory of a block in bytes.
    pub shared_bytes: u32,
}

/// Cells of a candidate buffer for `topk`: room to sort, and slack so that the radix select
/// that shrinks it runs once in many keys.
fn capacity(topk: u32) -> u32 {
    let slack = (topk / 4).max(3 * TILE_KEYS).next_multiple_of(TILE_KEYS);
    (topk.next_multiple_of(TILE_KEYS) + slack).max(topk.next_power_of_two())
}

fn fused_shared(d: u32, warps: u32, capacity: u32) -> u32 {
    TILE_KEYS * (d + 4) * 4 + warps * (STAGED * d * 4 + HISTOGRAM + capacity * 8)
}

fn mma_shared(d: u32, warps: u32, capacity: u32) -> u32 {
    2 * TILE_KEYS * (d + 8) * 2 + warps * (MMA_HEADS * (d + 8) * 2 + HISTOGRAM + capacity * 8)
}

fn widest(capacity: u32, shared: impl Fn(u32) -> u32) -> FusedLayout {
    let warps = [4, 2].into_iter().find(|&warps| shared(warps) <= SHARED_LIMIT).unwrap_or(1);
    FusedLayout { warps, capacity, shared_bytes: shared(warps) }
}

/// Layout of `fused_d*`: the most warps, up to four, whose shared memory every GPU grants.
pub fn fused(shape: &Shape) -> FusedLayout {
    let capacity = capacity(shape.topk);
    widest(capacity, |warps| fused_shared(shape.d, warps, capacity))
}

/// Layout of `fused_mma_d*`.
pub fn fused_mma(shape: &Shape) -> FusedLayout {
    let capacity = capacity(shape.topk);
    widest(capacity, |warps| mma_shared(shape.d, warps, capacity))
}

/// Layout of `fused_wgmma_d*`: cells of a row's list, and dynamic shared memory in bytes, which an sm_90
/// grants.
pub fn fused_wgmma(shape: &Shape) -> (u32, u32) {
    // As many cells as fit at d=128, so that a list is cut seldom; a sort needs 2048.
    let capacity = (shape.topk + 1408).clamp(2048, 3456);
    let width = shape.d.max(64) * 2;
    let tiles = WGMMA_STAGES * TILE_KEYS * width + WGMMA_ROWS * WGMMA_HEADS * width;
    (capacity, 1024 + tiles + WGMMA_ROWS * capacity * 8 + WGMMA_STATE)
}

/// Layout of `decode_score_d*`: one warp a block.
pub fn decode_score(shape: &Shape) -> FusedLayout {
    let capacity = capacity(split_kept(shape));
    FusedLayout { warps: 1, capacity, shared_bytes: fused_shared(shape.d, 1, capacity) }
}

/// Keys that one split of the decode lane hands on: no more than it has, nor than are wanted.
pub fn split_kept(shape: &Shape) -> u32 {
    shape.topk.min(SPLIT_KEYS)
}

/// Splits of the decode lane: blocks of `decode_score` for each batch.
pub fn splits(shape: &Shape) -> u32 {
    shape.sk.div_ceil(SPLIT_KEYS)
}

/// Dynamic shared memory of `slab_dots_d*` and `accumulate_head_d*` with four warps, in bytes.
pub fn score_shared_bytes(d: u32) -> u32 {
    TILE_KEYS * (d + 4) * 4 + 4 * STAGED * d * 4
}

/// Dynamic shared memory of `topk_rows` and `decode_merge`, in bytes.
pub fn select_shared_bytes(topk: u32) -> u32 {
    topk.next_power_of_two() * 8 + HISTOGRAM + 32 * 4 + 4 * 4
}

/// Threads of `topk_rows` and `decode_merge` for rows of `candidates`.
pub fn select_threads(candidates: u32) -> u32 {
    if candidates <= 1024 { 128 } else { 256 }
}

/// Words of a row's bit mask.
pub fn mask_words(shape: &Shape) -> u32 {
    shape.sk.div_ceil(32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candidate_buffers_hold_a_tile_more_than_topk_and_can_be_sorted() {
        for topk in 1..=2048 {
            let cells = capacity(topk);
            assert!(cells >= topk + TILE_KEYS, "topk {topk}: {cells}");
            assert!(cells >= topk.next_power_of_two(), "topk {topk}: {cells}");
        }
    }

    #[test]
    fn shared_memory_fits_every_supported_gpu() {
        for d in crate::shape::HEAD_DIMENSIONS {
            for topk in 1..=2048 {
                let shape = Shape { d, topk, ..Shape::default() };
                for layout in [fused(&shape), fused_mma(&shape), decode_score(&shape)] {
                    assert!(layout.shared_bytes <= SHARED_LIMIT, "{shape}: {layout:?}");
                }
                assert!(select_shared_bytes(topk) <= 48 * 1024);
                let (capacity, shared) = fused_wgmma(&shape);
                assert!(shared <= 227 * 1024, "{shape}: {shared}");
                assert!((topk + 6 * TILE_KEYS).max(2048) <= capacity && capacity <= 27 * 128, "{shape}: {capacity}");
            }
        }
        assert_eq!(fused(&Shape::default()).warps, 4);
    }
}
