// Exact top-k of one row by one block: radix select straight over the source, which is read
// once a digit, then compaction and sort in shared memory.
#pragma once
#include "select.cuh"

// Dynamic shared memory, in this order: histogram [RADIX_BINS] u32, counts of the warps [32] u32,
// bin [4] u32, sorted keys [power of two >= topk] u64.
// The host's twin is `select_shared_bytes` in src/layout.rs.
//
// `source(i)` gives the key of candidate i < count, zero for none. All threads of the block
// call this.
template <typename Source>
__device__ __forceinline__ void select_row(Source source, u32 count, u32 topk, RowOutputs outputs,
                                           unsigned char *memory) {
    u32 *histogram = reinterpret_cast<u32 *>(memory);
    u32 *warp_counts = histogram + RADIX_BINS;
    u32 *shared_bin = warp_counts + 32u;
    u64 *sorted = reinterpret_cast<u64 *>(shared_bin + 4u);
    u32 lane = threadIdx.x & 31u;
    u32 warp = threadIdx.x / LANES;
    u32 warps = blockDim.x / LANES;

    u64 threshold = 0;
    u64 decided = 0;
    u32 wanted = topk;
    for (u32 shift = 56;; shift -= 8) {
        for (u32 i = threadIdx.x; i < RADIX_BINS; i += blockDim.x) {
            histogram[i] = 0;
        }
        __syncthreads();
        for (u32 i = threadIdx.x; i < count; i += blockDim.x) {
            u64 key = source(i);
            if (key && (key & decided) == threshold) {
                atomicAdd(histogram + ((u32)(key >> shift) & 255u), 1u);
            }
        }
        __syncthreads();
        if (warp == 0) {
            Bin bin = find_bin(histogram, wanted);
            if (lane == 0) {
                shared_bin[0] = bin.digit;
                shared_bin[1] = bin.wanted;
                shared_bin[2] = bin.population;
            }
        }
        __syncthreads();
        u32 digit = shared_bin[0];
        u32 population = shared_bin[2];
        if (population == 0u) {
            break; // fewer than topk candidates (seen at the first digit): all of them are kept
        }
        wanted = shared_bin[1];
        threshold |= (u64)digit << shift;
        decided |= 255ull << shift;
        if (population == wanted || shift == 0u) {
            break; // the whole bin is wanted: lower digits decide nothing
        }
    }

    // Each warp counts, then writes, the keys of its own stretch: places do not depend on timing.
    u32 stretch = ((count + blockDim.x - 1u) / blockDim.x) * LANES;
    u32 first = min(warp * stretch, count);
    u32 last = min(first + stretch, count);
    u32 keeping = 0;
    for (u32 base = first; base < last; base += LANES) {
        u64 key = base + lane < last ? source(base + lane) : 0ull;
        keeping += __popc(__ballot_sync(FULL_MASK, key && key >= threshold));
    }
    if (lane == 0) {
        warp_counts[warp] = keeping;
    }
    __syncthreads();
    u32 place = 0;
    u32 picks = 0;
    for (u32 other = 0; other < warps; ++other) {
        u32 its = warp_counts[other];
        place += other < warp ? its : 0u;
        picks += its;
    }
    for (u32 base = first; base < last; base += LANES) {
        u64 key = base + lane < last ? source(base + lane) : 0ull;
        bool keep = key && key >= threshold;
        u32 kept = __ballot_sync(FULL_MASK, keep);
        if (keep) {
            sorted[place + __popc(kept & lanes_below())] = key;
        }
        place += __popc(kept);
    }
    u32 size = power_of_two_at_least(picks);
    for (u32 i = picks + threadIdx.x; i < size; i += blockDim.x) {
        sorted[i] = 0;
    }
    __syncthreads();
    // A short list is sorted sooner by one warp than by a block that meets at every stage.
    if (size <= 512u) {
        if (warp == 0) {
            sort_descending(sorted, size, lane, LANES, [] { __syncwarp(); });
        }
        __syncthreads();
    } else {
        sort_descending(sorted, size, threadIdx.x, blockDim.x, [] { __syncthreads(); });
    }
    write_row(outputs, sorted, picks, topk, threadIdx.x, blockDim.x);
}
