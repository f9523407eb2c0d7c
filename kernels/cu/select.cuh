// Exact top-k over unique 64-bit keys: radix select, compaction by ballot, bitonic sort.
//
// Shared-memory atomics only add to histograms, whose totals do not depend on the order.
#pragma once
#include "common.cuh"

#define RADIX_BINS 256u

// Where the radix search stands: the bin that holds the wanted key, how many keys of the bin
// are wanted, and how many it has.
struct Bin {
    u32 digit;
    u32 wanted;
    u32 population;
};

// A warp finds the bin of the `wanted`-th largest key (1-based) from the histogram of one
// digit. Lane l looks at the eight bins below 256 - 8*l. Returns a population of 0 if the
// histogram has fewer than `wanted` keys.
__device__ __forceinline__ Bin find_bin(const u32 *histogram, u32 wanted) {
    u32 lane = threadIdx.x & 31u;
    u32 base = RADIX_BINS - 8u - 8u * lane;
    uint4 low = *reinterpret_cast<const uint4 *>(histogram + base);
    uint4 high = *reinterpret_cast<const uint4 *>(histogram + base + 4u);
    u32 counts[8] = {high.w, high.z, high.y, high.x, low.w, low.z, low.y, low.x};
    u32 mine = 0;
#pragma unroll
    for (u32 i = 0; i < 8u; ++i) {
        mine += counts[i];
    }
    u32 through = mine;
#pragma unroll
    for (u32 step = 1; step < LANES; step <<= 1) {
        u32 below = __shfl_up_sync(FULL_MASK, through, step);
        through += lane >= step ? below : 0u;
    }
    u32 before = through - mine;
    Bin bin;
    bin.digit = 0;
    bin.wanted = 0;
    bin.population = 0;
    u32 passed = before;
#pragma unroll
    for (u32 i = 0; i < 8u; ++i) {
        bool here = passed < wanted && passed + counts[i] >= wanted;
        bin.digit = here ? base + 7u - i : bin.digit;
        bin.wanted = here ? wanted - passed : bin.wanted;
        bin.population = here ? counts[i] : bin.population;
        passed += counts[i];
    }
    u32 owners = __ballot_sync(FULL_MASK, bin.population != 0u);
    u32 owner = (31u - __clz(owners)) & 31u; // at most one lane has it
    bin.digit = __shfl_sync(FULL_MASK, bin.digit, owner);
    bin.wanted = __shfl_sync(FULL_MASK, bin.wanted, owner);
    bin.population = __shfl_sync(FULL_MASK, bin.population, owner);
    return bin;
}

// One thread group sorts keys[0, size) descending; size is a power of two.
// `rank` and `group` are the thread's place in the group and its size.
template <typename Synchronise>
__device__ __forceinline__ void sort_descending(u64 *keys, u32 size, u32 rank, u32 group, Synchronise synchronise) {
    for (u32 run = 2; run <= size; run <<= 1) {
        for (u32 stride = run >> 1; stride; stride >>= 1) {
            synchronise();
            for (u32 i = rank; i < size / 2u; i += group) {
                u32 first = i + (i & ~(stride - 1u));
                u64 a = keys[first];
                u64 b = keys[first + stride];
                bool descending = (first & run) == 0u;
                if ((a < b) == descending) {
                    keys[first] = b;
                    keys[first + stride] = a;
                }
            }
        }
    }
    synchronise();
}

__device__ __forceinline__ u32 power_of_two_at_least(u32 count) {
    return count <= 1u ? 1u : 1u << (32u - __clz(count - 1u));
}

// Outputs of one row. `index` and `score` have `topk` cells; the cells past the picks become
// -1 and -inf, so that all are written.
struct RowOutputs {
    int *index;
    u16 *score;
    u32 *bits; // one bit a key, zeroed before; or null
};

// One key of a row's outputs, at place `at`.
__device__ __forceinline__ void write_pick(RowOutputs row, u32 at, u64 key) {
    u32 picked = key_index(key);
    row.index[at] = key ? (int)picked : -1;
    row.score[at] = key ? to_bf16(key_score(key)) : (u16)0xff80u;
    if (key && row.bits) {
        atomicOr(row.bits + (picked >> 5), 1u << (picked & 31u)); // bits only rise: any order
    }
}

__device__ __forceinline__ void write_row(RowOutputs row, const u64 *sorted, u32 picks, u32 topk, u32 rank, u32 group) {
    for (u32 i = rank; i < topk; i += group) {
        write_pick(row, i, i < picks ? sorted[i] : 0ull);
    }
}
