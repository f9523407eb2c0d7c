// Exact top-k of a list in shared memory by one warpgroup, and its order.
#pragma once
#include "select.cuh"
#include "warpgroup.cuh"

// What the threads of a warpgroup share while they select.
struct GroupScratch {
    u32 histogram[RADIX_BINS + 4u]; // the last four are not looked at
    u64 low[4];
    u64 high[4];
    Bin bin;
    u32 kept;
    u32 reached[4];
};

__device__ __forceinline__ u64 shuffle_xor(u64 value, u32 step) {
    u32 low = __shfl_xor_sync(FULL_MASK, (u32)value, step);
    u32 high = __shfl_xor_sync(FULL_MASK, (u32)(value >> 32), step);
    return ((u64)high << 32) | low;
}

// The lowest and the highest key of the warpgroup, of what each thread found.
__device__ __forceinline__ void group_extremes(u64 &low, u64 &high, GroupScratch *scratch, u32 barrier) {
    u32 warp = threadIdx.x % WARPGROUP / LANES;
#pragma unroll
    for (u32 step = 16; step; step >>= 1) {
        u64 other = shuffle_xor(low, step);
        low = other < low ? other : low;
        other = shuffle_xor(high, step);
        high = other > high ? other : high;
    }
    if (threadIdx.x % LANES == 0u) {
        scratch->low[warp] = low;
        scratch->high[warp] = high;
    }
    meet(barrier, WARPGROUP);
#pragma unroll
    for (u32 i = 0; i < 4u; ++i) {
        low = scratch->low[i] < low ? scratch->low[i] : low;
        high = scratch->high[i] > high ? scratch->high[i] : high;
    }
}

// The bin of the `wanted`-th largest key of a histogram that the warpgroup has filled.
__device__ __forceinline__ Bin group_bin(u32 wanted, GroupScratch *scratch, u32 barrier) {
    meet(barrier, WARPGROUP);
    if (threadIdx.x % WARPGROUP < LANES) {
        Bin bin = find_bin(scratch->histogram, wanted);
        if (threadIdx.x % LANES == 0u) {
            scratch->bin = bin;
        }
    }
    meet(barrier, WARPGROUP);
    return scratch->bin;
}

__device__ __forceinline__ void clear_histogram(GroupScratch *scratch) {
    u32 rank = threadIdx.x % WARPGROUP;
    scratch->histogram[rank] = 0;
    scratch->histogram[rank + WARPGROUP] = 0;
}

// `Held` keys of a list are each thread's of the warpgroup while it selects: a list has at most Held * WARPGROUP cells.

// A bound that exactly `wanted` of the warpgroup's more than `wanted` unique keys reach; 0 is no key. The
// first pass splits the range of scores into 256 parts of equal width in score, which spreads them best;
// the next passes split the range of keys that holds the bound.
template <u32 Held>
__device__ __forceinline__ u64 group_bound(const u64 (&keys)[Held], u32 wanted, GroupScratch *scratch, u32 barrier) {
    u64 low = ~0ull;
    u64 high = 0;
#pragma unroll
    for (u32 i = 0; i < Held; ++i) {
        low = keys[i] && keys[i] < low ? keys[i] : low;
        high = keys[i] > high ? keys[i] : high;
    }
    clear_histogram(scratch);
    group_extremes(low, high, scratch, barrier);
    float base = key_score(low);
    float scale = 255.9f / (key_score(high) - base);
    if (scale > 0.0f && scale < __uint_as_float(0x7f800000u)) {
#pragma unroll
        for (u32 i = 0; i < Held; ++i) {
            if (keys[i]) {
                atomicAdd(scratch->histogram + min((u32)((key_score(keys[i]) - base) * scale), 255u), 1u);
            }
        }
        Bin bin = group_bin(wanted, scratch, barrier);
        low = ~0ull;
        high = 0;
#pragma unroll
        for (u32 i = 0; i < Held; ++i) {
            if (keys[i] && min((u32)((key_score(keys[i]) - base) * scale), 255u) == bin.digit) {
                low = keys[i] < low ? keys[i] : low;
                high = keys[i] > high ? keys[i] : high;
            }
        }
        clear_histogram(scratch);
        group_extremes(low, high, scratch, barrier);
        if (bin.population == bin.wanted) {
            return low;
        }
        wanted = bin.wanted;
    }
    for (;;) {
        u64 width = high - low;
        u32 shift = width >> 8 ? 56u - (u32)__clzll((long long)width) : 0u;
#pragma unroll
        for (u32 i = 0; i < Held; ++i) {
            if (keys[i] >= low && keys[i] <= high) {
                atomicAdd(scratch->histogram + (u32)((keys[i] - low) >> shift), 1u);
            }
        }
        Bin bin = group_bin(wanted, scratch, barrier);
        low += (u64)bin.digit << shift;
        u64 span = (1ull << shift) - 1ull;
        high = high - low > span ? low + span : high; // low + span itself may overflow
        if (bin.population == bin.wanted || shift == 0u) {
            return low;
        }
        wanted = bin.wanted;
        clear_histogram(scratch);
        meet(barrier, WARPGROUP);
    }
}

// Each thread's keys of a list.
template <u32 Held>
__device__ __forceinline__ void hold(u64 (&mine)[Held], const u64 *list, u32 count) {
#pragma unroll
    for (u32 i = 0; i < Held; ++i) {
        u32 at = i * WARPGROUP + threadIdx.x % WARPGROUP;
        mine[i] = at < count ? list[at] : 0ull;
    }
}

// Writes the keys that reach `bound` to the list, in any order. The scratch's `kept` is 0, and all have read.
template <u32 Held>
__device__ __forceinline__ void group_keep(const u64 (&mine)[Held], u64 bound, u64 *list, GroupScratch *scratch,
                                           u32 barrier) {
    u32 lane = threadIdx.x % LANES;
    u32 keeps = 0;
#pragma unroll
    for (u32 i = 0; i < Held; ++i) {
        keeps += mine[i] >= bound ? 1u : 0u;
    }
    u32 through = keeps;
#pragma unroll
    for (u32 step = 1; step < LANES; step <<= 1) {
        u32 below = __shfl_up_sync(FULL_MASK, through, step);
        through += lane >= step ? below : 0u;
    }
    u32 to = 0;
    if (lane == LANES - 1u) {
        to = atomicAdd(&scratch->kept, through);
    }
    to = __shfl_sync(FULL_MASK, to, LANES - 1u) + through - keeps;
#pragma unroll
    for (u32 i = 0; i < Held; ++i) {
        if (mine[i] >= bound) {
            list[to++] = mine[i];
        }
    }
    meet(barrier, WARPGROUP);
}

// Keeps the best `topk` of `count` > topk keys, in any order; returns the bound that they reach.
template <u32 Held>
__device__ __forceinline__ u64 group_cut(u64 *list, u32 count, u32 topk, GroupScratch *scratch, u32 barrier) {
    u64 mine[Held];
    hold(mine, list, count);
    if (threadIdx.x % WARPGROUP == 0u) {
        scratch->kept = 0;
    }
    u64 bound = group_bound(mine, topk, scratch, barrier);
    group_keep(mine, bound, list, scratch, barrier);
    return bound;
}

// Parts of equal width of a range of scores, numbered upwards: `Parts` is a power of two up to 2^22.
template <u32 Parts> struct Spread {
    float factor;
    float offset;

    // Of the lowest and the highest score, as the upper halves of keys. False where there is no such spread: of equal
    // scores, and of infinite ones.
    __device__ __forceinline__ bool begin(u32 low, u32 high) {
        float base = key_score((u64)low << 32);
        factor = ((float)Parts - 3.0f) / (key_score((u64)high << 32) - base);
        offset = 8388609.0f - base * factor; // 2^23 + 1: the part, which may be one off, stands in the low bits
        return factor > 0.0f && factor < 1e30f && fabsf(base) * factor < 1e6f;
    }
    // Larger for a larger score, or equal.
    __device__ __forceinline__ u32 part(u64 key) const {
        float at = fmaf(key_score(key), factor, offset);
        return __float_as_uint(at) & (Parts - 1u);
    }
};

// The smallest and the largest upper half of the warpgroup's keys.
template <u32 Held>
__device__ __forceinline__ void group_range(const u64 (&mine)[Held], u32 &low, u32 &high, GroupScratch *scratch,
                                            u32 barrier) {
    low = ~0u;
    high = 0;
#pragma unroll
    for (u32 i = 0; i < Held; ++i) {
        u32 order = (u32)(mine[i] >> 32);
        low = min(low, order - 1u); // no key is 0, and becomes the largest
        high = max(high, order);
    }
    low = __reduce_min_sync(FULL_MASK, low);
    high = __reduce_max_sync(FULL_MASK, high);
    u32 warp = threadIdx.x % WARPGROUP / LANES;
    if (threadIdx.x % LANES == 0u) {
        scratch->low[warp] = low;
        scratch->high[warp] = high;
    }
    meet(barrier, WARPGROUP);
#pragma unroll
    for (u32 i = 0; i < 4u; ++i) {
        low = min(low, (u32)scratch->low[i]);
        high = max(high, (u32)scratch->high[i]);
    }
    low += 1u;
}

// What a cut leaves: so many keys, all that reach the bound.
struct Left {
    u32 count;
    u64 bound;
};

// Keeps the best `topk` of `count` > topk keys and at most `more` beside them, in any order: the cheap way while keys
// are still coming.
template <u32 Held>
__device__ __forceinline__ Left group_rough_cut(u64 *list, u32 count, u32 topk, u32 more, GroupScratch *scratch,
                                                u32 barrier) {
    u64 mine[Held];
    hold(mine, list, count);
    clear_histogram(scratch);
    if (threadIdx.x % WARPGROUP == 0u) {
        scratch->kept = 0;
    }
    u32 low;
    u32 high;
    group_range(mine, low, high, scratch, barrier);
    Spread<RADIX_BINS> spread;
    Left left;
    if (spread.begin(low, high)) {
#pragma unroll
        for (u32 i = 0; i < Held; ++i) {
            if (i % 4u == 0u && i * WARPGROUP >= count) {
                break;
            }
            atomicAdd(scratch->histogram + (mine[i] ? spread.part(mine[i]) : RADIX_BINS), 1u);
        }
        Bin bin = group_bin(topk, scratch, barrier);
        left.count = topk - bin.wanted + bin.population;
        if (left.count <= topk + more) {
            // The lowest key of the part, or 0 of a thread without one.
            u32 reached = ~0u;
#pragma unroll
            for (u32 i = 0; i < Held; ++i) {
                bool keep = mine[i] && spread.part(mine[i]) >= bin.digit;
                mine[i] = keep ? mine[i] : 0ull;
                reached = keep ? min(reached, (u32)(mine[i] >> 32)) : reached;
            }
            reached = __reduce_min_sync(FULL_MASK, reached);
            if (threadIdx.x % LANES == 0u) {
                scratch->reached[threadIdx.x % WARPGROUP / LANES] = reached;
            }
            group_keep(mine, 1u, list, scratch, barrier);
#pragma unroll
            for (u32 i = 0; i < 4u; ++i) {
                reached = min(reached, scratch->reached[i]);
            }
            left.bound = (u64)reached << 32;
            return left;
        }
    }
    meet(barrier, WARPGROUP); // all have read the range
    left.count = topk;
    left.bound = group_bound(mine, topk, scratch, barrier);
    group_keep(mine, left.bound, list, scratch, barrier);
    return left;
}

// Of two keys, the one that belongs in this place.
__device__ __forceinline__ u64 place(u64 mine, u64 other, bool larger) {
    return (mine > other) == larger ? mine : other;
}

// A warpgroup sorts 16 keys a thread, descending by (thread, position): a bitonic network with the
// positions in registers, lanes by shuffle and warps through `exchange` [16 * WARPGROUP].
__device__ __forceinline__ void group_sort(u64 (&keys)[16], u64 *exchange, u32 barrier) {
    u32 rank = threadIdx.x % WARPGROUP;
#pragma unroll
    for (u32 run = 2; run <= 8u; run <<= 1) {
#pragma unroll
        for (u32 stride = run >> 1; stride; stride >>= 1) {
#pragma unroll
            for (u32 i = 0; i < 16u; ++i) {
                if (!(i & stride)) {
                    bool descending = !(i & run);
                    u64 a = keys[i];
                    u64 b = keys[i + stride];
                    keys[i] = place(a, b, descending);
                    keys[i + stride] = place(b, a, !descending);
                }
            }
        }
    }
#pragma unroll 1
    for (u32 run = 16; run <= 16u * WARPGROUP; run <<= 1) {
        bool descending = !((rank * 16u) & run);
#pragma unroll 1
        for (u32 stride = run >> 1; stride >= 16u; stride >>= 1) {
            u32 step = stride / 16u;
            bool larger = !(rank & step) == descending;
            if (step < LANES) {
#pragma unroll
                for (u32 i = 0; i < 16u; ++i) {
                    keys[i] = place(keys[i], shuffle_xor(keys[i], step), larger);
                }
            } else {
#pragma unroll
                for (u32 i = 0; i < 16u; ++i) {
                    exchange[i * WARPGROUP + rank] = keys[i];
                }
                meet(barrier, WARPGROUP);
#pragma unroll
                for (u32 i = 0; i < 16u; ++i) {
                    keys[i] = place(keys[i], exchange[i * WARPGROUP + (rank ^ step)], larger);
                }
                meet(barrier, WARPGROUP);
            }
        }
#pragma unroll
        for (u32 stride = 8; stride; stride >>= 1) {
#pragma unroll
            for (u32 i = 0; i < 16u; ++i) {
                if (!(i & stride)) {
                    u64 a = keys[i];
                    u64 b = keys[i + stride];
                    keys[i] = place(a, b, descending);
                    keys[i + stride] = place(b, a, !descending);
                }
            }
        }
    }
}
