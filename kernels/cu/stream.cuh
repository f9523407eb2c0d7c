// Streaming top-k of one row by one warp: a threshold lets few candidates through once the
// buffer has been full, and a radix select shrinks the full buffer to the best topk.
#pragma once
#include "select.cuh"

struct StreamTopk {
    u64 *candidates; // [capacity] of this warp; capacity >= topk + TILE_KEYS
    u32 *histogram;  // [RADIX_BINS] of this warp
    u32 capacity;
    u32 topk;
    u32 count;
    u64 threshold; // a key that is not larger cannot be among the best topk

    __device__ __forceinline__ void begin(u64 *buffer, u32 *bins, u32 cells, u32 wanted) {
        candidates = buffer;
        histogram = bins;
        capacity = cells;
        topk = wanted;
        count = 0;
        threshold = 0;
    }

    __device__ __forceinline__ void offer(u64 key) {
        bool pass = key > threshold;
        u32 passing = __ballot_sync(FULL_MASK, pass);
        if (pass) {
            candidates[count + __popc(passing & lanes_below())] = key;
        }
        count += __popc(passing);
    }

    // Two keys a lane; makes room for the next two.
    __device__ __forceinline__ void offer_pair(u64 first, u64 second) {
        offer(first);
        offer(second);
        if (count + TILE_KEYS > capacity) {
            shrink();
        }
    }

    // Keeps the best topk of more than topk candidates, in their order.
    __device__ __forceinline__ void shrink() {
        u32 lane = threadIdx.x & 31u;
        threshold = select();
        u32 kept = 0;
        for (u32 base = 0; base < count; base += LANES) {
            u32 i = base + lane;
            u64 key = i < count ? candidates[i] : 0ull;
            bool keep = key >= threshold && key;
            u32 keeping = __ballot_sync(FULL_MASK, keep); // also: all have read before one writes
            if (keep) {
                candidates[kept + __popc(keeping & lanes_below())] = key;
            }
            kept += __popc(keeping);
        }
        count = kept;
        __syncwarp();
    }

    // A bound that exactly topk of the candidates reach.
    __device__ __forceinline__ u64 select() {
        u32 lane = threadIdx.x & 31u;
        u64 prefix = 0;
        u64 decided = 0; // bits of the prefix that are known
        u32 wanted = topk;
        for (u32 shift = 56;; shift -= 8) {
            uint4 zero = make_uint4(0, 0, 0, 0);
            reinterpret_cast<uint4 *>(histogram)[lane] = zero;
            reinterpret_cast<uint4 *>(histogram)[lane + LANES] = zero;
            __syncwarp();
            for (u32 i = lane; i < count; i += LANES) {
                u64 key = candidates[i];
                if ((key & decided) == prefix) {
                    atomicAdd(histogram + ((u32)(key >> shift) & 255u), 1u);
                }
            }
            __syncwarp();
            Bin bin = find_bin(histogram, wanted);
            prefix |= (u64)bin.digit << shift;
            decided |= 255ull << shift;
            wanted = bin.wanted;
            if (bin.population == wanted || shift == 0u) {
                return prefix; // the whole bin is wanted: lower digits decide nothing
            }
            __syncwarp();
        }
    }

    // Keeps the best topk, in the order of their indices; returns how many there are.
    __device__ __forceinline__ u32 trim() {
        __syncwarp();
        if (count > topk) {
            shrink();
        }
        return count;
    }

    // Sorts the best topk; returns how many there are.
    __device__ __forceinline__ u32 finish() {
        u32 lane = threadIdx.x & 31u;
        trim();
        u32 size = power_of_two_at_least(count);
        for (u32 i = count + lane; i < size; i += LANES) {
            candidates[i] = 0;
        }
        sort_descending(candidates, size, lane, LANES, [] { __syncwarp(); });
        return count;
    }
};
