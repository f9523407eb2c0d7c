// The best keys that a block holds, in their order: the common way, for scores that spread.
#pragma once
#include "held_select.cuh"

// A row's outputs, of which the bits may be set in shared memory first: each bit alone would go to device memory on its own.
struct HeldOutputs {
    RowOutputs row;
    u32 staged; // its address there, zeroed before; or 0

    __device__ __forceinline__ void write(u32 at, u64 key) const {
        RowOutputs now = row;
        now.bits = staged ? nullptr : row.bits;
        write_pick(now, at, key);
        if (key && staged) {
            u32 picked = key_index(key);
            asm volatile("red.shared.or.b32 [%0], %1;" ::"r"(staged + (picked >> 5) * 4u), "r"(1u << (picked & 31u)) : "memory");
        }
    }
};

// Writes the best `topk` of the block's keys, 0 for none, straight from their bins: places by the bins above, then within a
// bin by comparing. False, with nothing written, where the scores do not spread so that no bin has many.
// `room` has topk + CROWD cells; what it held may be the keys.
__device__ __forceinline__ bool held_rank(const u64 (&keys)[HELD_KEYS], u32 cells, u32 topk, u64 *room, HeldOutputs row,
                                          HeldShared *shared) {
    u32 threads = blockDim.x;
    clear_bins(shared);
    u32 low_order;
    u32 high_order;
    u32 count = held_range(keys, low_order, high_order, shared);
    Spread spread;
    bool spreads = spread.set((u64)low_order << 32, (u64)high_order << 32);
    u32 slots[HELD_KEYS / 2u]; // two 16-bit places each
    if (spreads) {
#pragma unroll
        for (u32 i = 0; i < HELD_KEYS; i += 2u) {
            if (i * threads >= cells) {
                break;
            }
            u32 first = keys[i] ? atomicAdd(shared->histogram + spread(keys[i]), 1u) : 0u;
            u32 second = keys[i + 1u] ? atomicAdd(shared->histogram + spread(keys[i + 1u]), 1u) : 0u;
            slots[i / 2u] = first | (second << 16);
        }
    }
    __syncthreads();
    // Each bin's count becomes the number of keys above the bin.
    u32 each = HELD_BINS / threads;
    u32 top = HELD_BINS - 1u - threadIdx.x * each;
    u32 sum = 0;
    for (u32 i = 0; i < each; ++i) {
        sum += shared->histogram[top - i];
    }
    u32 total;
    u32 above = sum_before(sum, total, shared);
    bool crowded = !spreads;
    for (u32 i = 0; i < each; ++i) {
        u32 population = shared->histogram[top - i];
        shared->histogram[top - i] = above;
        crowded = crowded || (above < topk && population > CROWD);
        above += population;
    }
    if (__syncthreads_or(crowded)) {
        return false;
    }
#pragma unroll
    for (u32 i = 0; i < HELD_KEYS; ++i) {
        if (i * threads >= cells) {
            break;
        }
        if (keys[i]) {
            u32 to = shared->histogram[spread(keys[i])] + (slots[i / 2u] >> (i % 2u * 16u) & 0xffffu);
            if (to < topk + CROWD) {
                room[to] = keys[i];
            }
        }
    }
    __syncthreads();
    u32 picks = min(count, topk);
    for (u32 at = threadIdx.x; at < min(count, topk + CROWD); at += threads) {
        u64 key = room[at];
        u32 bin = spread(key);
        u32 first = shared->histogram[bin];
        u32 last = min(bin ? shared->histogram[bin - 1u] : count, topk + CROWD);
        u32 place = first;
        for (u32 j = first; j < last; ++j) {
            place += room[j] > key ? 1u : 0u;
        }
        // A bin that begins before the last pick is there as a whole; of one that begins behind it, nothing counts.
        if (first < picks && place < picks) {
            row.write(place, key);
        }
    }
    for (u32 at = picks + threadIdx.x; at < topk; at += threads) {
        row.write(at, 0);
    }
    return true;
}
