//! Launch geometry: grids, blocks and shared memory. The twins of the layouts in `cu/`.

use crate::shape::{MOST_TOPK, Shape};

/// Threads of a warp.
pub const WARP: u32 = 32;
/// Keys of a tile (`TILE_KEYS` in common.cuh).
pub const TILE_KEYS: u32 = 64;
/// Threads of a block of `decode_score_d*`.
pub const DECODE_THREADS: u32 = 128;
/// Key tiles of `decode_score_d*` under way at once (`STAGES` in decode.cu).
const DECODE_STAGES: u32 = 3;
/// Heads that `decode_score_d*_h32` and `_h64` have in shared memory at once, and multiply at once.
const DECODE_HEADS: [u32; 2] = [32, 64];
/// Blocks of `decode_score_d*` that fill a chip of some 132 multiprocessors, two on each.
const DECODE_BLOCKS: u32 = 264;
/// The most keys of a split: with more, too few of its best would be known to bound the row.
const MOST_SPLIT_KEYS: u32 = 2048;
/// Keys that one thread of `decode_select` holds (`HELD_KEYS` in held_select.cuh).
const HELD_KEYS: u32 = 8;
/// The most threads of a block of `decode_select`, and those of each where a row has several.
const HELD_THREADS: u32 = 1024;
/// Slots that each of several blocks of a row looks through (`STRETCH` in decode.cu).
const STRETCH: u32 = 8192;
/// Room for `HeldShared` of held_select.cuh.
const HELD_SHARED: u32 = 9888;
/// Words of a row's bits that `decode_select` stages (`MOST_STAGED_WORDS` in decode.cu).
const MOST_STAGED_WORDS: u32 = 16_384;
/// Keys of one bin that are compared with each other (`CROWD` in held_select.cuh).
const HELD_CROWD: u32 = 64;
/// Query vectors that a warp stages at once (`STAGED` in score.cuh).
pub const STAGED: u32 = 8;
/// Most warps of a block of `fused_mma_d*`, as many as have registers.
const MMA_WARPS: u32 = 8;
/// Heads of a row that `fused_mma_d*_h16` and `_h64` keep in registers.
const MMA_HEADS: [u32; 2] = [16, 64];
/// Query rows of a block of `fused_wgmma_d*` and `fused_fp8_d*` (`ROWS` in fused_warpgroups.cuh).
pub const WGMMA_ROWS: u32 = 4;
/// Threads of their blocks: four warpgroups that multiply, one that has the keys copied.
pub const WGMMA_THREADS: u32 = 5 * 128;
/// Bytes of a key in one box of their tensor maps: a row of a swizzled tile.
pub const WGMMA_BOX: u32 = 128;
/// Heads of a row that they have room for (`ROW_HEADS`).
pub const WGMMA_HEADS: u32 = 64;
/// Bytes of a row of keys, times the tiles under way at once (`STAGED_BYTES` in fused_warpgroups.cuh).
const WGMMA_STAGED: u32 = 768;
/// Keys of a list that each of 128 threads holds at most, in bf16 and in e4m3 (`HELD`).
const WGMMA_HELD: u32 = 27;
const FP8_HELD: u32 = 35;
/// Room for `BlockState` of fused_warpgroups.cuh.
const WGMMA_STATE: u32 = 8192;
/// Dynamic shared memory that an sm_90 grants a block (227 KiB).
const WGMMA_SHARED: u32 = 227 * 1024;
/// Threads of a block of `to_fp8_d*`, and blocks at most.
pub const TO_FP8_THREADS: u32 = 256;
const TO_FP8_BLOCKS: u64 = 1 << 20;
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
    2 * TILE_KEYS * (d + 8) * 2 + warps * (HISTOGRAM + capacity * 8)
}

fn widest(capacity: u32, most_warps: u32, most_shared: u32, shared: impl Fn(u32) -> u32) -> FusedLayout {
    let warps = (2..=most_warps).rev().find(|&warps| shared(warps) <= most_shared).unwrap_or(1);
    FusedLayout { warps, capacity, shared_bytes: shared(warps) }
}

/// Layout of `fused_d*`: the most warps, up to four, whose shared memory every GPU grants.
pub fn fused(shape: &Shape) -> FusedLayout {
    let capacity = capacity(shape.topk);
    widest(capacity, 4, SHARED_LIMIT, |warps| fused_shared(shape.d, warps, capacity))
}

/// Layout of `fused_mma_d*`: the most warps, up to eight, whose shared memory the device grants, `most_shared`
/// bytes. What a row's outputs hold does not depend on it.
pub fn fused_mma(shape: &Shape, most_shared: u32) -> FusedLayout {
    let capacity = capacity(shape.topk);
    widest(capacity, MMA_WARPS, most_shared, |warps| mma_shared(shape.d, warps, capacity))
}

/// Heads that stay in registers, for the name of the kernel.
pub fn mma_heads(shape: &Shape) -> u32 {
    MMA_HEADS[usize::from(shape.h > MMA_HEADS[0])]
}

/// Layout of `fused_wgmma_d*`: cells of a row's list, and dynamic shared memory in bytes, which an sm_90
/// grants.
pub fn fused_wgmma(shape: &Shape) -> (u32, u32) {
    warpgroups(shape.topk, 256, shape.d * 2, WGMMA_HELD)
}

/// Layout of `fused_fp8_d*`, as [`fused_wgmma`].
pub fn fused_fp8(shape: &Shape) -> (u32, u32) {
    warpgroups(shape.topk, 128, shape.d, FP8_HELD)
}

fn warpgroups(topk: u32, widest_row: u32, row_bytes: u32, held: u32) -> (u32, u32) {
    // Fewer tiles of wider rows; 128 bytes at least. Before it, what brings it to a multiple of 1,024.
    let fixed = 1024 + TILE_KEYS * WGMMA_STAGED + WGMMA_STATE;
    let queries = |row: u32| WGMMA_ROWS * WGMMA_HEADS * row.max(128);
    // As many cells as fit at d=128, so that a list is cut seldom; a sort needs 2048.
    let room = (WGMMA_SHARED - fixed - queries(widest_row)) / (WGMMA_ROWS * 8);
    let most = (room - room % TILE_KEYS).min(held * 128);
    let capacity = (topk + most - MOST_TOPK).max(MOST_TOPK);
    (capacity, fixed + queries(row_bytes) + WGMMA_ROWS * capacity * 8)
}

/// Vectors that `to_fp8_d*` turns into e4m3: heads of queries, and keys.
pub fn to_fp8_vectors(shape: &Shape) -> (u64, u64) {
    let [sq, sk, b, h] = [shape.sq, shape.sk, shape.b, shape.h].map(u64::from);
    (sq * b * h, sk * b)
}

/// Blocks of `to_fp8_d*`: a thread for each eight elements, or a stride where that is more than a grid should have.
pub fn to_fp8_blocks(shape: &Shape) -> u32 {
    let (queries, keys) = to_fp8_vectors(shape);
    let threads = (queries + keys) * u64::from(shape.d / 8);
    threads.div_ceil(u64::from(TO_FP8_THREADS)).min(TO_FP8_BLOCKS) as u32
}

/// Heads that `decode_score_d*` multiplies at once, for the name of the kernel.
pub fn decode_heads(shape: &Shape) -> u32 {
    DECODE_HEADS[usize::from(shape.h > DECODE_HEADS[0])]
}

/// Dynamic shared memory of `decode_score_d*`, in bytes.
pub fn decode_score_shared(shape: &Shape) -> u32 {
    (decode_heads(shape) + DECODE_STAGES * TILE_KEYS) * (shape.d + 8) * 2
}

/// Keys that one block of `decode_score_d*` scores: as many tiles as leave blocks for the whole chip, up to
/// 2,048 keys.
pub fn split_keys(shape: &Shape) -> u32 {
    let keys = u64::from(shape.sk) * u64::from(shape.b);
    let most = shape.sk.min(MOST_SPLIT_KEYS);
    let each = keys.div_ceil(u64::from(DECODE_BLOCKS)).min(u64::from(most)) as u32;
    each.next_multiple_of(TILE_KEYS)
}

/// Splits of the decode lane: blocks of `decode_score_d*` for each batch.
pub fn splits(shape: &Shape) -> u32 {
    shape.sk.div_ceil(split_keys(shape))
}

/// Pages of a row of the paged decode lane's cache.
pub fn row_pages(shape: &Shape) -> u32 {
    shape.sk.div_ceil(shape.page)
}

/// Pages of the cache: as many as all rows together may need.
pub fn pages(shape: &Shape) -> u32 {
    shape.b * row_pages(shape)
}

/// Keys that one block holds when it selects.
pub const HELD: u32 = HELD_KEYS * HELD_THREADS;

/// Blocks of `decode_select` that look through one row, and their threads; one more joins its statistics.
pub fn decode_select(shape: &Shape) -> (u32, u32) {
    if shape.sk <= HELD {
        let threads = (shape.sk / (HELD_KEYS / 2)).next_power_of_two().clamp(128, HELD_THREADS);
        (1, threads)
    } else {
        (shape.sk.div_ceil(STRETCH), HELD_THREADS)
    }
}

/// Dynamic shared memory of `decode_select`, in bytes: a list that can be sorted, with room for a bin more, and the bits
/// of a row that is not too long.
pub fn decode_select_shared(shape: &Shape) -> u32 {
    let words = Some(mask_words(shape)).filter(|&words| words <= MOST_STAGED_WORDS);
    HELD_SHARED + shape.topk.next_power_of_two().max(shape.topk + HELD_CROWD) * 8 + words.unwrap_or(0) * 4
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
                for layout in [fused(&shape), fused_mma(&shape, SHARED_LIMIT)] {
                    assert!(layout.shared_bytes <= SHARED_LIMIT, "{shape}: {layout:?}");
                }
                assert!(select_shared_bytes(topk) <= 48 * 1024);
                for sk in [1, 32 * MOST_STAGED_WORDS, 1 << 30] {
                    assert!(decode_select_shared(&Shape { sk, ..shape }) <= SHARED_LIMIT);
                }
                assert!(decode_score_shared(&Shape { h: 1024, ..shape }) <= SHARED_LIMIT);
                for ((capacity, shared), held) in [(fused_wgmma(&shape), WGMMA_HELD), (fused_fp8(&shape), FP8_HELD)] {
                    assert!(shared <= WGMMA_SHARED, "{shape}: {shared}");
                    assert!(
                        (topk + 8 * TILE_KEYS).max(2048) <= capacity && capacity <= held * 128,
                        "{shape}: {capacity}"
                    );
                }
            }
        }
        assert_eq!(fused(&Shape::default()).warps, 4);
        let large = Shape { d: 128, topk: 2048, ..Shape::default() };
        assert_eq!([99, 163, 227].map(|kib| fused_mma(&large, kib * 1024).warps), [3, 6, 8]);
    }

    #[test]
    fn every_length_of_the_index_cache_is_split_over_the_chip_and_looked_through_whole() {
        for (sk, b) in [(1, 1), (64, 1), (512, 1), (8192, 1), (131_072, 1), (1 << 20, 1), (8192, 64), (7, 65_535)] {
            for topk in [1, 64, 2048] {
                let shape = Shape { sk, b, topk, ..Shape::default() };
                let keys = split_keys(&shape);
                assert!(keys.is_multiple_of(TILE_KEYS) && keys <= MOST_SPLIT_KEYS, "{shape}: {keys}");
                let most = DECODE_BLOCKS.max(sk.div_ceil(MOST_SPLIT_KEYS) * b);
                assert!(splits(&shape) * b <= most, "{shape}: {keys}");
                let (parts, threads) = decode_select(&shape);
                let each = if parts == 1 { threads * HELD_KEYS } else { STRETCH };
                assert!(parts * each >= sk, "{shape}: {parts} blocks of {threads}");
            }
        }
        assert_eq!(splits(&Shape { sk: 8192, ..Shape::default() }), 128);
        assert_eq!(decode_select(&Shape { sk: 8192, ..Shape::default() }), (1, 1024));
        assert_eq!(decode_select(&Shape { sk: 131_072, ..Shape::default() }), (16, 1024));
    }
}
