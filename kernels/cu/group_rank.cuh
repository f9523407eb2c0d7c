// The best keys of a list in their order, by one warpgroup: by counting where scores spread, else by cutting and
// sorting. Both give the same.
#pragma once
#include "group_select.cuh"

// Parts of the range of scores, and keys that one of them may have.
#define RANK_PARTS 4096u
#define RANK_MOST 64u

// Where a warpgroup counts, while it ranks, the keys of each part, then where the part ends in their order, the highest
// part first; of the part above the highest, 0. A word is left out behind each 32, for the banks' sake.
struct RankScratch {
    u32 ends[RANK_PARTS + RANK_PARTS / 32u + 4u];
};
// A cell that no part has.
#define RANK_NOWHERE (RANK_PARTS + RANK_PARTS / 32u + 2u)
__device__ __forceinline__ u32 rank_cell(u32 part) { return part + part / 32u; }

// Turns counts of the parts into where they begin, the highest part first. Returns the most keys of a part that begins
// before `topk`.
__device__ __forceinline__ u32 rank_begins(RankScratch *rank, u32 topk, GroupScratch *scratch, u32 barrier) {
    const u32 each = RANK_PARTS / WARPGROUP; // 32, as many as lie side by side
    u32 lane = threadIdx.x % LANES;
    u32 warp = threadIdx.x % WARPGROUP / LANES;
    // Thread 0 has the highest parts.
    u32 *counts = rank->ends + rank_cell(RANK_PARTS - each * (threadIdx.x % WARPGROUP + 1u));
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

// Writes the row if its scores spread so that no part has many: parts by score, then places within a part by counting
// the larger ones. The list becomes the place of the keys in the order of their parts.
template <u32 Held>
__device__ __forceinline__ bool rank_by_parts(RowOutputs row, u64 *list, u32 count, u32 topk, RankScratch *rank,
                                              GroupScratch *scratch, u32 barrier) {
    u32 thread = threadIdx.x % WARPGROUP;
    u64 mine[Held];
    hold(mine, list, count);
    for (u32 i = thread; i < sizeof(RankScratch) / 4u; i += WARPGROUP) {
        rank->ends[i] = 0;
    }
    u32 low;
    u32 high;
    group_range(mine, low, high, scratch, barrier);
    Spread<RANK_PARTS> spread;
    if (!spread.begin(low, high)) {
        return false;
    }
    // Four keys at a time, whether or not there are so many: none counts in a cell that is not looked at.
#pragma unroll
    for (u32 i = 0; i < Held; ++i) {
        if (i % 4u == 0u && i * WARPGROUP >= count) {
            break;
        }
        atomicAdd(rank->ends + (mine[i] ? rank_cell(spread.part(mine[i])) : RANK_NOWHERE), 1u);
    }
    meet(barrier, WARPGROUP);
    if (rank_begins(rank, topk, scratch, barrier) > RANK_MOST) {
        return false;
    }
#pragma unroll
    for (u32 i = 0; i < Held; i += 4u) {
        if (i * WARPGROUP >= count) {
            break;
        }
        u32 to[4];
#pragma unroll
        for (u32 j = 0; j < 4u && i + j < Held; ++j) {
            u64 key = mine[i + j];
            to[j] = atomicAdd(rank->ends + (key ? rank_cell(spread.part(key)) : RANK_NOWHERE), 1u);
        }
#pragma unroll
        for (u32 j = 0; j < 4u && i + j < Held; ++j) {
            if (mine[i + j] && to[j] < topk + RANK_MOST) {
                list[to[j]] = mine[i + j];
            }
        }
    }
    meet(barrier, WARPGROUP);
    u32 picks = min(count, topk);
    u32 last = min(count, topk + RANK_MOST);
#pragma unroll 2
    for (u32 at = thread; at < last; at += WARPGROUP) {
        u64 key = list[at];
        u32 part = spread.part(key);
        u32 from = rank->ends[rank_cell(part + 1u)];
        u32 to = min(rank->ends[rank_cell(part)], topk + RANK_MOST);
        u32 place = from;
        for (u32 i = from; i < to; i += 4u) {
#pragma unroll
            for (u32 j = 0; j < 4u; ++j) {
                u64 other = list[i + j]; // the list has room behind its last part
                place += i + j < to && other > key ? 1u : 0u;
            }
        }
        if (from < picks && place < picks) {
            write_pick(row, place, key);
        }
    }
    for (u32 at = picks + thread; at < topk; at += WARPGROUP) {
        write_pick(row, at, 0);
    }
    return true;
}

// Writes the best `topk` of `count` keys. Changes the list.
template <u32 Held>
__device__ __forceinline__ void rank_row(RowOutputs row, u64 *list, u32 count, u32 topk, RankScratch *rank,
                                         GroupScratch *scratch, u32 barrier) {
    if (rank_by_parts<Held>(row, list, count, topk, rank, scratch, barrier)) {
        return;
    }
    meet(barrier, WARPGROUP);
    if (count > topk) {
        group_cut<Held>(list, count, topk, scratch, barrier);
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
