// The best keys of a list in their order, by one warpgroup: by counting where scores spread, else by cutting and
// sorting. Both give the same.
#pragma once
#include "group_select.cuh"

// Parts of the range of scores, and keys that one of them may have.
#define RANK_PARTS 2048u
#define RANK_MOST 64u

// What the threads of a warpgroup share while they rank: 2^11 parts and room for the best keys and one part more.
struct RankScratch {
    u32 ends[RANK_PARTS + 4u]; // of the parts in `keys`, the highest part first; of the part above the highest, 0
    u64 keys[2048u + RANK_MOST];
};

// Turns counts of the parts into where they begin, the highest part first. Returns the most keys of a part that begins
// before `topk`.
__device__ __forceinline__ u32 rank_begins(RankScratch *rank, u32 topk, GroupScratch *scratch, u32 barrier) {
    const u32 each = RANK_PARTS / WARPGROUP;
    u32 lane = threadIdx.x % LANES;
    u32 warp = threadIdx.x % WARPGROUP / LANES;
    // Thread 0 has the highest parts.
    u32 *counts = rank->ends + RANK_PARTS - each * (threadIdx.x % WARPGROUP + 1u);
    u32 all = 0;
#pragma unroll
    for (u32 i = 0; i < each; ++i) {
        all += counts[i];
    }
    u32 through = all;
#pragma unroll
    for (u32 step = 1; step < LANES; step <<= 1) {
        u32 above = __shfl_up_sync(FULL_MASK, through, step);
        through += lane >= step ? above : 0u;
    }
    if (lane == LANES - 1u) {
        scratch->low[warp] = through;
    }
    meet(barrier, WARPGROUP);
    u32 begin = through - all;
    for (u32 i = 0; i < warp; ++i) {
        begin += (u32)scratch->low[i];
    }
    u32 most = 0;
#pragma unroll
    for (u32 i = each; i-- > 0u;) {
        u32 here = counts[i];
        counts[i] = begin;
        most = begin < topk ? max(most, here) : most;
        begin += here;
    }
    most = __reduce_max_sync(FULL_MASK, most);
    if (lane == 0u) {
        scratch->high[warp] = most;
    }
    meet(barrier, WARPGROUP);
#pragma unroll
    for (u32 i = 0; i < 4u; ++i) {
        most = max(most, (u32)scratch->high[i]);
    }
    return most;
}

// One key of a row's outputs, at place `at`.
__device__ __forceinline__ void write_pick(RowOutputs row, u32 at, u64 key) {
    u32 picked = key_index(key);
    row.index[at] = key ? (int)picked : -1;
    row.score[at] = key ? to_bf16(key_score(key)) : (u16)0xff80u;
    if (key) {
        atomicOr(row.bits + (picked >> 5), 1u << (picked & 31u)); // bits only rise: any order
    }
}

// Writes the row if its scores spread so that no part has many: parts by score, then places within a part by counting
// the larger ones.
__device__ __forceinline__ bool rank_by_parts(RowOutputs row, const u64 *list, u32 count, u32 topk, RankScratch *rank,
                                              GroupScratch *scratch, u32 barrier) {
    u32 thread = threadIdx.x % WARPGROUP;
    u64 mine[HELD];
    hold(mine, list, count);
    for (u32 i = thread; i < RANK_PARTS + 4u; i += WARPGROUP) {
        rank->ends[i] = 0;
    }
    u32 low;
    u32 high;
    group_range(mine, low, high, scratch, barrier);
    Spread<RANK_PARTS> spread;
    if (!spread.begin(low, high)) {
        return false;
    }
#pragma unroll
    for (u32 i = 0; i < HELD; ++i) {
        if (mine[i]) {
            atomicAdd(rank->ends + spread.part(mine[i]), 1u);
        }
    }
    meet(barrier, WARPGROUP);
    if (rank_begins(rank, topk, scratch, barrier) > RANK_MOST) {
        return false;
    }
#pragma unroll
    for (u32 i = 0; i < HELD; ++i) {
        if (mine[i]) {
            u32 *end = rank->ends + spread.part(mine[i]);
            // Whole parts are in or out: a part that begins at or behind topk stays where it is.
            u32 to = *(volatile u32 *)end < topk + RANK_MOST ? atomicAdd(end, 1u) : ~0u;
            if (to < topk + RANK_MOST) {
                rank->keys[to] = mine[i];
            }
        }
    }
    meet(barrier, WARPGROUP);
    u32 picks = min(count, topk);
#pragma unroll 1
    for (u32 at = thread; at < min(count, topk + RANK_MOST); at += WARPGROUP) {
        u64 key = rank->keys[at];
        u32 part = spread.part(key);
        u32 from = rank->ends[part + 1u];
        u32 to = min(rank->ends[part], topk + RANK_MOST);
        u32 place = from;
        for (u32 i = from; i < to; ++i) {
            place += rank->keys[i] > key ? 1u : 0u;
        }
        if (from < picks && place < picks) {
            write_pick(row, place, key);
        }
    }
    for (u32 at = picks + thread; at < topk; at += WARPGROUP) {
        write_pick(row, at, 0);
    }
    meet(barrier, WARPGROUP);
    return true;
}

// Writes the best `topk` of `count` keys. Changes the list.
__device__ __forceinline__ void rank_row(RowOutputs row, u64 *list, u32 count, u32 topk, RankScratch *rank,
                                         GroupScratch *scratch, u32 barrier) {
    if (rank_by_parts(row, list, count, topk, rank, scratch, barrier)) {
        return;
    }
    meet(barrier, WARPGROUP);
    if (count > topk) {
        group_cut(list, count, topk, scratch, barrier);
        count = topk;
    }
    u32 thread = threadIdx.x % WARPGROUP;
    u64 sorted[16];
#pragma unroll
    for (u32 i = 0; i < 16u; ++i) {
        u32 at = i * WARPGROUP + thread;
        sorted[i] = at < count ? list[at] : 0ull;
    }
    meet(barrier, WARPGROUP); // the list becomes the place of exchange
    group_sort(sorted, list, barrier);
#pragma unroll
    for (u32 i = 0; i < 16u; ++i) {
        u32 at = thread * 16u + i;
        if (at < topk) {
            write_pick(row, at, sorted[i]);
        }
    }
}
