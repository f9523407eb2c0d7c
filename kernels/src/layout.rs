//! Launch geometry: grids, blocks and shared memory. The twins of the layouts in `cu/`.

use crate::shape::Shape;

/// Threads of a warp.
pub const WARP: u32 = 32;
/// Keys of a tile (`TILE_KEYS` in common.cuh).
pub const TILE_KEYS: u32 = 64;
/// Threads of a block of `decode_score_d*`.
pub const DECODE_THREADS: u32 = 128;
/// Key tiles of `decode_score_d*` under way at once (`STAGES` in decode.cu).
const DECODE_STAGES: u32 = 3;
/// Heads that `decode_score_d*` has in shared memory at once, and heads multiplied at once.
const DECODE_HEADS: (u32, u32) = (64, 32);
/// Blocks of `decode_score_d*` that fill a chip of some 132 multiprocessors, two on each.
const DECODE_BLOCKS: u32 = 264;
/// Keys that one thread of `decode_cut` and `decode_select` holds (`HELD_KEYS` in held_select.cuh).
const HELD_KEYS: u32 = 16;
/// Threads of a block of `decode_cut`, and the most of `decode_select`.
const HELD_THREADS: u32 = 1024;
/// Room for `HeldShared` of held_select.cuh.
pub const HELD_SHARED: u32 = 9888;
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

/// Dynamic shared memory of `decode_score_d*`, in bytes.
pub fn decode_score_shared(shape: &Shape) -> u32 {
    let (staged, step) = DECODE_HEADS;
    let heads = shape.h.next_multiple_of(step).min(staged);
    (heads + DECODE_STAGES * TILE_KEYS) * (shape.d + 8) * 2
}

/// Keys that one block of `decode_score_d*` scores: as many tiles as leave blocks for the whole chip.
pub fn split_keys(shape: &Shape) -> u32 {
    let keys = u64::from(shape.sk) * u64::from(shape.b);
    let each = keys.div_ceil(u64::from(DECODE_BLOCKS)).min(u64::from(shape.sk)) as u32;
    each.next_multiple_of(TILE_KEYS)
}

/// Splits of the decode lane: blocks of `decode_score_d*` for each batch.
pub fn splits(shape: &Shape) -> u32 {
    shape.sk.div_ceil(split_keys(shape))
}

/// Keys that one block holds when it selects.
pub const HELD: u32 = HELD_KEYS * HELD_THREADS;

/// What the rounds of `decode_cut` leave of a row's keys, until one block of `decode_select` can hold them:
/// blocks, and keys that they leave together. Nothing where the row is short.
pub fn decode_cuts(shape: &Shape) -> Vec<(u32, u32)> {
    let mut left = shape.sk;
    let mut rounds = Vec::new();
    while left > HELD {
        let chunks = left.div_ceil(HELD);
        left = chunks * shape.topk;
        rounds.push((chunks, left));
    }
    rounds
}

/// Threads of `decode_select` for rows of `candidates`.
pub fn held_threads(candidates: u32) -> u32 {
    (candidates / (HELD_KEYS / 2)).next_power_of_two().clamp(128, HELD_THREADS)
}

/// Dynamic shared memory of `decode_select`, in bytes.
pub fn decode_select_shared(topk: u32) -> u32 {
    HELD_SHARED + 2 * topk.next_power_of_two() * 8
}

/// Dynamic shared memory of `slab_dots_d*` and `accumulate_head_d*` with four warps, in bytes.
pub fn score_shared_bytes(d: u32) -> u32 {
    TILE_KEYS * (d + 4) * 4 + 4 * STAGED * d * 4
}

/// Dynamic shared memory of `topk_rows`, in bytes.
pub fn select_shared_bytes(topk: u32) -> u32 {
    topk.next_power_of_two() * 8 + HISTOGRAM + 32 * 4 + 4 * 4
}

/// Threads of `topk_rows` for rows of `candidates`.
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
                for layout in [fused(&shape), fused_mma(&shape)] {
                    assert!(layout.shared_bytes <= SHARED_LIMIT, "{shape}: {layout:?}");
                }
                assert!(select_shared_bytes(topk) <= 48 * 1024);
                assert!(decode_select_shared(topk) <= 48 * 1024);
                assert!(decode_score_shared(&Shape { h: 1024, ..shape }) <= SHARED_LIMIT);
                let (capacity, shared) = fused_wgmma(&shape);
                assert!(shared <= 227 * 1024, "{shape}: {shared}");
                assert!((topk + 6 * TILE_KEYS).max(2048) <= capacity && capacity <= 27 * 128, "{shape}: {capacity}");
            }
        }
        assert_eq!(fused(&Shape::default()).warps, 4);
    }

    #[test]
    fn every_length_of_the_index_cache_is_split_over_the_chip_and_cut_to_what_a_block_holds() {
        for (sk, b) in [(1, 1), (64, 1), (512, 1), (8192, 1), (131_072, 1), (1 << 20, 1), (8192, 64), (7, 65_535)] {
            for topk in [1, 64, 2048] {
                let shape = Shape { sk, b, topk, ..Shape::default() };
                let keys = split_keys(&shape);
                assert!(
                    keys.is_multiple_of(TILE_KEYS) && splits(&shape) * b <= DECODE_BLOCKS.max(b),
                    "{shape}: {keys}"
                );
                let cuts = decode_cuts(&shape);
                assert!(cuts.len() <= 2, "{shape}: {cuts:?}");
                let left = cuts.last().map_or(sk, |&(_, left)| left);
                assert!(left <= held_threads(left) * HELD_KEYS, "{shape}: {left}");
            }
        }
        assert_eq!(splits(&Shape { sk: 8192, ..Shape::default() }), 128);
        assert_eq!(decode_cuts(&Shape { sk: 131_072, topk: 2048, ..Shape::default() }), [(8, 16_384)]);
    }
}
