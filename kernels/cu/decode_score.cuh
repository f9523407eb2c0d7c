// What one block of the decode lane does with its split of the keys.
#pragma once
#include "decode_heads.cuh"

// What the blocks of a row's selection share: keys that passed and blocks that are done, in the upper and the lower half;
// how many splits have to reach the row's bound, 0 if there is none.
struct Tally {
    u64 done;
    u32 splits;
    u32 padding;
};

// Grid: (splits, batches), blocks of four warps. A block scores the slots [split * split_keys, + split_keys) and
// writes the order of each (the upper half of its key), zero outside the limits, its statistics, and a bound. It appends
// the new key if the slot is its own, and reads it from `fresh`. It clears what is only added to behind it.
// q [batches, heads, D], fresh [batches, D] bf16, and the keys of the block's batch; w [batches, heads] fp32;
// start, end [batches] i32; orders [batches, slots] u32; split_max, split_sum [batches, splits] fp32;
// split_bound [batches, splits] u32; tally [batches]; bits [batches, ceil(slots / 32)].
// Dynamic shared memory, in this order: heads [min(64, heads rounded up to 32), D + 8] bf16; key tiles
// [STAGES, TILE_KEYS, D + 8] bf16. split_keys is a multiple of TILE_KEYS. The host's twin is in src/layout.rs.
template <u32 D, u32 Heads, typename Keys>
__device__ __forceinline__ void decode_score(const u16 *q, const Keys &cache, const u16 *fresh, const float *w,
                                             const int *start, const int *end, const u32 *position, u32 *orders,
                                             float *split_max, float *split_sum, u32 *split_bound, Tally *tally,
                                             u32 *bits, u32 slots, u32 heads, u32 split_keys, u32 topk) {
    __shared__ float others[2][TILE_KEYS];
    __shared__ Statistics joined;
    __shared__ __align__(16) u32 best[COUNTED];
    __shared__ u32 reached[WARPS];
    const u32 tile_cells = TILE_KEYS * bf16_stride<D>();
    u32 warp = threadIdx.x / LANES;
    u32 lane = threadIdx.x & 31u;
    u16 *staged = reinterpret_cast<u16 *>(shared_memory);
    u16 *tiles = staged + Heads * bf16_stride<D>();

    u32 batch = blockIdx.y;
    u32 at = __ldg(position + batch);
    int from_key = __ldg(start + batch);
    int to_key = __ldg(end + batch);
    q += (size_t)batch * heads * D;
    w += (size_t)batch * heads;
    fresh += (size_t)batch * D;
    orders += (size_t)batch * slots;
    start_heads<D>(staged, q, 0, heads, Heads);
    commit_copies();

    u32 first = blockIdx.x * split_keys;
    u32 last = min(first + split_keys, slots);
    u32 *words = bits + (size_t)batch * ((slots + 31u) / 32u);
    for (u32 i = first / 32u + threadIdx.x; i < (last + 31u) / 32u; i += WARPS * LANES) {
        words[i] = 0;
    }
    if (blockIdx.x == 0 && threadIdx.x == 0) {
        tally[batch].done = 0;
    }
    u32 slot = at % slots;
    u32 length = at >= slots - 1u ? slots : at + 1u;
    Limits limits = clamp_limits(from_key, to_key, length);
    if (slot >= first && slot < last && threadIdx.x < D / 8u) {
        u16 *to = cache.base(slot) + slot * cache.stride();
        reinterpret_cast<uint4 *>(to)[threadIdx.x] = __ldg(reinterpret_cast<const uint4 *>(fresh) + threadIdx.x);
    }
    u32 low = max(limits.low, first);
    u32 high = min(limits.high, last);
    u32 first_tile = low < high ? low / TILE_KEYS : 0u;
    u32 last_tile = low < high ? (high + TILE_KEYS - 1u) / TILE_KEYS : 0u;
    for (u32 key = first + threadIdx.x; key < last; key += WARPS * LANES) {
        if (key < first_tile * TILE_KEYS || key >= last_tile * TILE_KEYS) {
            orders[key] = 0;
        }
    }

    // Half of the warps take the first half of the heads, and have the scores in the end.
    bool ends = warp < WARPS / 2u;
    u32 half = warp % 2u * (TILE_KEYS / 2u);
    u32 mine = half + (lane >> 4) * 16u + ((lane >> 3) & 1u) * 8u + (lane & 3u) * 2u + ((lane >> 2) & 1u);
    SplitScores scores;
    scores.running = no_statistics();
    scores.best = 0;
    scores.second = 0;
#pragma unroll
    for (u32 i = 0; i < STAGES - 1u; ++i) {
        if (first_tile + i < last_tile) {
            start_tile<D>(tiles + i * tile_cells, cache, fresh, slot, (first_tile + i) * TILE_KEYS, slots);
        }
        commit_copies();
    }
    wait_copies<(int)STAGES - 1>();
    __syncthreads(); // the heads are there
    HeldHeads<D, Heads> held;
    held.load(staged, w, 0, heads);
    u32 stage = 0;
    float sum = 0.0f;
    for (u32 tile = first_tile; tile < last_tile; ++tile) {
        wait_copies<(int)STAGES - 2>();
        __syncthreads(); // the tile is there, the one before it is free, and its sums are known
        u32 ahead = tile + STAGES - 1u;
        u32 free_stage = stage == 0u ? STAGES - 1u : stage - 1u;
        if (ahead < last_tile) {
            start_tile<D>(tiles + free_stage * tile_cells, cache, fresh, slot, ahead * TILE_KEYS, slots);
        }
        commit_copies(); // an empty group at the end keeps the count of pending groups
        if (ends && tile > first_tile) {
            scores.add(sum + others[(tile - 1u) & 1u][mine], (tile - 1u) * TILE_KEYS + mine, low, high, last, orders);
        }
        const u16 *keys = tiles + stage * tile_cells + half * bf16_stride<D>();
        float partial[4][2] = {{0.0f, 0.0f}, {0.0f, 0.0f}, {0.0f, 0.0f}, {0.0f, 0.0f}};
        held.add(partial, keys);
        if (heads > STAGED_HEADS) {
            for (u32 head = STAGED_HEADS; head < heads + STAGED_HEADS; head += STAGED_HEADS) {
                // The last turn brings back the first heads.
                u32 from = head < heads ? head : 0u;
                __syncthreads();
                start_heads<D>(staged, q, from, heads, Heads);
                commit_copies();
                wait_copies<0>();
                __syncthreads();
                held.load(staged, w, from, heads);
                if (from) {
                    held.add(partial, keys);
                }
            }
        }
        sum = join_heads(partial);
        if (!ends) {
            others[tile & 1u][mine] = sum;
        }
        stage = stage == STAGES - 1u ? 0u : stage + 1u;
    }
    wait_copies<0>();
    __syncthreads();
    if (ends && first_tile < last_tile) {
        u32 tile = last_tile - 1u;
        scores.add(sum + others[tile & 1u][mine], tile * TILE_KEYS + mine, low, high, last, orders);
    }
    Statistics all = join_lanes(scores.running);
    if (threadIdx.x == LANES) {
        joined = all;
    }
    // topk keys reach a bound that `each` keys reach in as many splits as make that together, of those that take part as a
    // whole: half of them where `each` can be so large, so that it is not the worst split that decides.
    u32 whole_first = (limits.low + split_keys - 1u) / split_keys;
    u32 whole_last = limits.high / split_keys;
    u32 whole = whole_first < whole_last ? whole_last - whole_first : 1u;
    u32 least = (topk + whole - 1u) / whole;
    u32 each = 2u * least <= COUNTED ? 2u * least : least;
    bool counted = blockIdx.x >= whole_first && blockIdx.x < whole_last;
    if (ends) {
        best[threadIdx.x] = scores.best;
        best[threadIdx.x + TILE_KEYS] = scores.second;
    }
    __syncthreads();
    u32 mine_reached = counted ? reached_by(best, each) : 0u;
    mine_reached = __reduce_max_sync(FULL_MASK, mine_reached);
    if (lane == 0) {
        reached[warp] = mine_reached;
    }
    __syncthreads();
    if (threadIdx.x == 0) {
        add_partial(all, joined);
        size_t cell = (size_t)batch * gridDim.x + blockIdx.x;
        split_max[cell] = all.maximum;
        split_sum[cell] = all.sum;
        split_bound[cell] = max(max(reached[0], reached[1]), max(reached[2], reached[3]));
        if (blockIdx.x == 0) {
            tally[batch].splits = each <= COUNTED ? (topk + each - 1u) / each : 0u;
        }
    }
}
