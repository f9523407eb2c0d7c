// Exact top-k of keys that a block holds in registers, and their order.
//
// Every step gives the same result whatever order the threads come in: histograms and minima do not
// depend on it, and keys are unique.
#pragma once
#include "select.cuh"

// Keys that a thread holds at most.
#define HELD_KEYS 8u
// Bins of a histogram: so many that the bin of the bound seldom has more keys than FEW_KEYS.
#define HELD_BINS 2048u
// Keys that are ranked by comparing each with each.
#define FEW_KEYS 128u
// Keys of one bin that are ordered by comparing each with each.
#define CROWD 64u

// What the threads of the block share. The host's twin of its size is in src/layout.rs.
struct HeldShared {
    u32 histogram[HELD_BINS];
    u64 few[FEW_KEYS];
    u64 low[32];
    u64 high[32];
    u32 sums[32];
    Bin bin;
    u64 bound;
    u32 gathered;
};
static_assert(sizeof(HeldShared) == 9888, "HELD_SHARED in src/layout.rs");

// Bins of equal width of a range of scores, numbered upwards.
struct Spread {
    float factor;
    float offset;

    // Of the lowest and the highest key. False where there is no such spread: of equal scores, and of infinite ones.
    __device__ __forceinline__ bool set(u64 low, u64 high) {
        float base = key_score(low);
        factor = ((float)HELD_BINS - 3.0f) / (key_score(high) - base);
        offset = 8388609.0f - base * factor; // 2^23 + 1: the bin, which may be one off, stands in the low bits
        return factor > 0.0f && factor < 1e30f && fabsf(base) * factor < 1e6f;
    }
    // Larger for a larger score, or equal.
    __device__ __forceinline__ u32 operator()(u64 key) const {
        return __float_as_uint(fmaf(key_score(key), factor, offset)) & (HELD_BINS - 1u);
    }
};

// The sum of `value` over the threads before this one; the sum over all in `total`.
__device__ __forceinline__ u32 sum_before(u32 value, u32 &total, HeldShared *shared) {
    u32 lane = threadIdx.x & 31u;
    u32 warp = threadIdx.x / LANES;
    u32 through = value;
#pragma unroll
    for (u32 step = 1; step < LANES; step <<= 1) {
        u32 below = __shfl_up_sync(FULL_MASK, through, step);
        through += lane >= step ? below : 0u;
    }
    __syncthreads();
    if (lane == LANES - 1u) {
        shared->sums[warp] = through;
    }
    __syncthreads();
    u32 its = lane < blockDim.x / LANES ? shared->sums[lane] : 0u;
    u32 before = __reduce_add_sync(FULL_MASK, lane < warp ? its : 0u);
    total = __reduce_add_sync(FULL_MASK, its);
    return before + through - value;
}

__device__ __forceinline__ void clear_bins(HeldShared *shared) {
    for (u32 i = threadIdx.x; i < HELD_BINS; i += blockDim.x) {
        shared->histogram[i] = 0;
    }
    if (threadIdx.x == 0) {
        shared->gathered = 0;
    }
    __syncthreads();
}

// The bin of the `wanted`-th largest key, 1-based, of a histogram that holds at least as many. Each thread
// looks at the bins after those of the threads before it, from the top.
__device__ __forceinline__ Bin held_bin(u32 wanted, HeldShared *shared) {
    u32 each = HELD_BINS / blockDim.x;
    u32 top = HELD_BINS - 1u - threadIdx.x * each;
    __syncthreads();
    u32 mine = 0;
    for (u32 i = 0; i < each; ++i) {
        mine += shared->histogram[top - i];
    }
    u32 total;
    u32 passed = sum_before(mine, total, shared);
    if (passed < wanted && passed + mine >= wanted) {
        u32 digit = top;
        while (passed + shared->histogram[digit] < wanted) {
            passed += shared->histogram[digit];
            --digit;
        }
        shared->bin.digit = digit;
        shared->bin.wanted = wanted - passed;
        shared->bin.population = shared->histogram[digit];
    }
    __syncthreads();
    return shared->bin;
}

// The smallest and the largest of the keys that the threads found.
__device__ __forceinline__ void held_extremes(u64 &low, u64 &high, HeldShared *shared) {
    u32 lane = threadIdx.x & 31u;
#pragma unroll
    for (u32 step = 16; step; step >>= 1) {
        u64 other = __shfl_xor_sync(FULL_MASK, low, step);
        low = other < low ? other : low;
        other = __shfl_xor_sync(FULL_MASK, high, step);
        high = other > high ? other : high;
    }
    __syncthreads();
    if (lane == 0) {
        shared->low[threadIdx.x / LANES] = low;
        shared->high[threadIdx.x / LANES] = high;
    }
    __syncthreads();
    for (u32 warp = 0; warp < blockDim.x / LANES; ++warp) {
        low = shared->low[warp] < low ? shared->low[warp] : low;
        high = shared->high[warp] > high ? shared->high[warp] : high;
    }
}

// The smallest and the largest score of the keys, in the order of keys; the count of the keys.
__device__ __forceinline__ u32 held_range(const u64 (&keys)[HELD_KEYS], u32 &low, u32 &high, HeldShared *shared) {
    u32 lane = threadIdx.x & 31u;
    u32 warp = threadIdx.x / LANES;
    u32 count = 0;
    low = ~0u;
    high = 0;
#pragma unroll
    for (u32 i = 0; i < HELD_KEYS; ++i) {
        u32 order = (u32)(keys[i] >> 32);
        low = keys[i] ? min(low, order) : low;
        high = max(high, order);
        count += keys[i] ? 1u : 0u;
    }
    low = __reduce_min_sync(FULL_MASK, low);
    high = __reduce_max_sync(FULL_MASK, high);
    count = __reduce_add_sync(FULL_MASK, count);
    if (lane == 0) {
        shared->low[warp] = low;
        shared->high[warp] = high;
        shared->sums[warp] = count;
    }
    __syncthreads();
    bool there = lane < blockDim.x / LANES;
    low = __reduce_min_sync(FULL_MASK, there ? (u32)shared->low[lane] : ~0u);
    high = __reduce_max_sync(FULL_MASK, there ? (u32)shared->high[lane] : 0u);
    return __reduce_add_sync(FULL_MASK, there ? shared->sums[lane] : 0u);
}

// The `wanted`-th largest of the few keys that `member` chooses.
template <typename Member>
__device__ __forceinline__ u64 few_bound(const u64 (&keys)[HELD_KEYS], u32 wanted, HeldShared *shared, Member member) {
#pragma unroll
    for (u32 i = 0; i < HELD_KEYS; ++i) {
        if (member(keys[i])) {
            shared->few[atomicAdd(&shared->gathered, 1u)] = keys[i];
        }
    }
    __syncthreads();
    u32 count = shared->gathered;
    if (threadIdx.x < count) {
        u64 mine = shared->few[threadIdx.x];
        u32 above = 0;
        for (u32 i = 0; i < count; ++i) {
            above += shared->few[i] > mine ? 1u : 0u;
        }
        if (above + 1u == wanted) {
            shared->bound = mine;
        }
    }
    __syncthreads();
    return shared->bound;
}

// A bound that exactly the best `wanted` of the block's keys reach, or all keys if there are no more; 0 is
// no key. The first pass splits the range of scores into bins of equal width, which spreads them best; the
// next ones, needed where many scores are equal or nearly so, the range of keys that holds the bound.
__device__ __forceinline__ u64 held_bound(const u64 (&keys)[HELD_KEYS], u32 wanted, HeldShared *shared) {
    clear_bins(shared);
    u32 low_order;
    u32 high_order;
    if (held_range(keys, low_order, high_order, shared) <= wanted) {
        return 1;
    }
    u64 low = (u64)low_order << 32;
    u64 high = ((u64)high_order << 32) | 0xffffffffull;
    Spread spread;
    if (spread.set(low, high)) {
#pragma unroll
        for (u32 i = 0; i < HELD_KEYS; ++i) {
            if (keys[i]) {
                atomicAdd(shared->histogram + spread(keys[i]), 1u);
            }
        }
        Bin bin = held_bin(wanted, shared);
        if (bin.population <= FEW_KEYS) {
            return few_bound(keys, bin.wanted, shared, [&](u64 key) { return key && spread(key) == bin.digit; });
        }
        wanted = bin.wanted;
        low = ~0ull;
        high = 0;
#pragma unroll
        for (u32 i = 0; i < HELD_KEYS; ++i) {
            if (keys[i] && spread(keys[i]) == bin.digit) {
                low = keys[i] < low ? keys[i] : low;
                high = keys[i] > high ? keys[i] : high;
            }
        }
        held_extremes(low, high, shared);
        clear_bins(shared);
    }
    for (;;) {
        u64 width = high - low;
        u32 shift = width >= HELD_BINS ? 53u - (u32)__clzll((long long)width) : 0u;
#pragma unroll
        for (u32 i = 0; i < HELD_KEYS; ++i) {
            if (keys[i] >= low && keys[i] <= high) {
                atomicAdd(shared->histogram + (u32)((keys[i] - low) >> shift), 1u);
            }
        }
        Bin bin = held_bin(wanted, shared);
        low += (u64)bin.digit << shift;
        u64 span = (1ull << shift) - 1ull;
        high = high - low > span ? low + span : high; // low + span itself may overflow
        wanted = bin.wanted;
        if (bin.population == wanted) {
            return low;
        }
        if (bin.population <= FEW_KEYS) {
            return few_bound(keys, wanted, shared, [&](u64 key) { return key >= low && key <= high; });
        }
        clear_bins(shared);
    }
}

// Writes the keys that reach `bound` to `list`, in an order that depends on nothing but the keys' places;
// returns how many there are.
__device__ __forceinline__ u32 held_compact(const u64 (&keys)[HELD_KEYS], u64 bound, u64 *list, HeldShared *shared) {
    u32 keeps = 0;
#pragma unroll
    for (u32 i = 0; i < HELD_KEYS; ++i) {
        keeps += keys[i] >= bound ? 1u : 0u;
    }
    u32 total;
    u32 to = sum_before(keeps, total, shared);
#pragma unroll
    for (u32 i = 0; i < HELD_KEYS; ++i) {
        if (keys[i] >= bound) {
            list[to++] = keys[i];
        }
    }
    return total;
}
