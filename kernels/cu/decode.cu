// The decode lane: one query row a batch against an index cache that grows on the device, over the whole chip.
//
// position [batches] u32 counts the tokens appended so far (modulo 2^32); a token goes to slot
// position % capacity, and min(position + 1, capacity) slots hold a key once it is there. No
// launch parameter depends on the position, so the step can be replayed as it is.
//
// Scores come from tensor cores: the products of a dot are added in the core's own order, so that they agree
// with the scalar reference to rounding. What follows them is exact, and no result depends on timing.
#include "decode_score.cuh"
#include "held_rank.cuh"

// Slots of a row that one of several blocks of `decode_select` looks through.
#define STRETCH 8192u
// Words of a row's bits that are staged in shared memory at most.
#define MOST_STAGED_WORDS 16384u

#define DECODE_SCORE(D, H)                                                                                             \
    extern "C" __global__ void __launch_bounds__(128) decode_score_d##D##_h##H(                                        \
        const u16 *q, u16 *cache, const u16 *fresh, const float *w, const int *start, const int *end,                  \
        const u32 *position, u32 *orders, float *split_max, float *split_sum, u32 *split_bound, Tally *tally,          \
        u32 *bits, u32 slots, u32 batches, u32 heads, u32 split_keys, u32 topk) {                                      \
        DenseKeys<D> keys = {cache, batches, blockIdx.y};                                                              \
        decode_score<D, H>(q, keys, fresh, w, start, end, position, orders, split_max, split_sum, split_bound, tally,  \
                           bits, slots, heads, split_keys, topk);                                                      \
    }

DECODE_SCORE(32, 32)
DECODE_SCORE(64, 32)
DECODE_SCORE(128, 32)
DECODE_SCORE(32, 64)
DECODE_SCORE(64, 64)
DECODE_SCORE(128, 64)

// Joins the statistics of a row's splits, by one warp.
__device__ __forceinline__ Statistics join_splits(const float *split_max, const float *split_sum, u32 splits) {
    Statistics mine = no_statistics();
    for (u32 split = threadIdx.x; split < splits; split += LANES) {
        Statistics its;
        its.maximum = __ldg(split_max + split);
        its.sum = __ldg(split_sum + split);
        add_partial(mine, its);
    }
    return join_lanes(mine);
}

__device__ __forceinline__ u64 key_of(u32 order, u32 slot) { return ((u64)order << 32) | (u64)(~slot); }

// The keys of a row that can be among its best: `passed`, or all of its slots where that is null.
struct Offered {
    const u32 *orders;
    const u64 *passed;
    u32 count;

    __device__ __forceinline__ u64 operator()(u32 at) const {
        if (at >= count) {
            return 0;
        }
        if (passed) {
            return __ldcg(passed + at);
        }
        u32 order = __ldg(orders + at);
        return order ? key_of(order, at) : 0ull;
    }
};

// An order that topk keys of a row reach, or that of any key: `wanted` splits reach their own bounds. The splits are dealt
// out to groups of one warp, so that each has of every part of the row; a group finds the order that its share of `wanted`
// reaches, and the lowest of these orders counts.
__device__ __forceinline__ u32 row_bound(const u32 *split_bound, u32 splits, const Tally &tally, HeldShared *shared) {
    u32 lane = threadIdx.x & 31u;
    u32 group = threadIdx.x / LANES;
    u32 groups = (splits + LANES - 1u) / LANES;
    u32 split = lane * groups + group;
    u32 mine = group < groups && split < splits ? __ldg(split_bound + split) : 0u;
    u32 wanted = tally.splits;
    if (threadIdx.x == 0) {
        shared->gathered = ~0u;
    }
    __syncthreads();
    while (group < groups) {
        u32 reach = 0;
#pragma unroll 8
        for (u32 i = 0; i < LANES; ++i) {
            reach += __shfl_sync(FULL_MASK, mine, i) >= mine ? 1u : 0u;
        }
        u32 found = __reduce_max_sync(FULL_MASK, reach * groups >= wanted ? mine : 0u);
        if (lane == 0) {
            atomicMin(&shared->gathered, found);
        }
        group += blockDim.x / LANES;
        split = lane * groups + group;
        mine = group < groups && split < splits ? __ldg(split_bound + split) : 0u;
    }
    __syncthreads();
    u32 bound = wanted ? max(shared->gathered, 1u) : 1u;
    __syncthreads(); // all have read
    return bound;
}

// The block writes the best of the keys that it holds, which are the first of those offered.
__device__ __forceinline__ void select_best(u64 (&keys)[HELD_KEYS], Offered offered, u32 topk, HeldOutputs row, u64 *list,
                                            HeldShared *shared) {
    u32 most = HELD_KEYS * blockDim.x;
    if (offered.count <= most && held_rank(keys, offered.count, topk, list, row, shared)) {
        return;
    }
    // Round by round the best so far, and keys that have not been looked at.
    u32 kept;
    for (u32 from = most;; from += most - kept) {
        u64 bound = held_bound(keys, topk, shared);
        kept = held_compact(keys, bound, list, shared);
        __syncthreads();
        bool last = from >= offered.count;
#pragma unroll
        for (u32 i = 0; i < HELD_KEYS; ++i) {
            u32 at = i * blockDim.x + threadIdx.x;
            keys[i] = at < kept ? list[at] : last ? 0ull : offered(from + at - kept);
        }
        if (last) {
            break;
        }
    }
    if (held_rank(keys, kept, topk, list, row, shared)) {
        return;
    }
    // Where many scores are equal.
    u32 size = power_of_two_at_least(kept);
    for (u32 i = kept + threadIdx.x; i < size; i += blockDim.x) {
        list[i] = 0;
    }
    sort_descending(list, size, threadIdx.x, blockDim.x, [] { __syncthreads(); });
    for (u32 i = threadIdx.x; i < topk; i += blockDim.x) {
        row.write(i, i < kept ? list[i] : 0ull);
    }
}

// Grid: (parts + 1, batches), parts = 1 if a block holds all slots, else ceil(slots / STRETCH). The blocks let those keys
// through that reach the row's bound, and the last one to be done selects the best of them. Behind them one block joins the
// statistics of the splits, and advances the position, which every kernel before this one has read.
// orders [batches, slots] u32; passed [batches, slots] u64, not used by one block; split_max, split_sum, split_bound [batches, splits]; bits
// [batches, ceil(slots / 32)], zero. Dynamic shared memory, in this order: HeldShared, a list of a power of two >= topk
// or topk + CROWD cells of u64, whichever is more; a row's bits if they have MOST_STAGED_WORDS at most.
extern "C" __global__ void __launch_bounds__(1024)
    decode_select(const u32 *orders, u64 *passed, const float *split_max, const float *split_sum,
                  const u32 *split_bound, Tally *tally, int *index, u16 *score, float *maximum, float *sum, u32 *bits,
                  u32 *position, u32 splits, u32 slots, u32 topk) {
    HeldShared *shared = reinterpret_cast<HeldShared *>(shared_memory);
    u32 batch = blockIdx.y;
    u32 parts = gridDim.x - 1u;
    if (blockIdx.x == parts) {
        if (threadIdx.x < LANES) {
            Statistics joined = join_splits(split_max + (size_t)batch * splits, split_sum + (size_t)batch * splits, splits);
            if (threadIdx.x == 0) {
                maximum[batch] = joined.maximum;
                sum[batch] = joined.sum;
                position[batch] = position[batch] + 1u;
            }
        }
        return;
    }
    orders += (size_t)batch * slots;
    passed += (size_t)batch * slots;
    split_bound += (size_t)batch * splits;
    Offered offered;
    offered.orders = orders;
    offered.passed = nullptr;
    offered.count = slots;
    u64 keys[HELD_KEYS];
    if (parts == 1u) {
        u32 held[HELD_KEYS];
#pragma unroll
        for (u32 i = 0; i < HELD_KEYS; ++i) {
            u32 slot = i * blockDim.x + threadIdx.x;
            held[i] = slot < slots ? __ldg(orders + slot) : 0u;
        }
        u32 bound = row_bound(split_bound, splits, tally[batch], shared);
#pragma unroll
        for (u32 i = 0; i < HELD_KEYS; ++i) {
            keys[i] = held[i] >= bound ? key_of(held[i], i * blockDim.x + threadIdx.x) : 0ull;
        }
    } else {
        const u32 most = STRETCH / 1024u;
        u32 mine[most];
        u32 first = blockIdx.x * STRETCH + threadIdx.x;
#pragma unroll
        for (u32 i = 0; i < most; ++i) {
            u32 slot = first + i * 1024u;
            mine[i] = slot < slots ? __ldg(orders + slot) : 0u;
        }
        u32 bound = row_bound(split_bound, splits, tally[batch], shared);
        u32 pass = 0;
#pragma unroll
        for (u32 i = 0; i < most; ++i) {
            pass += mine[i] >= bound ? 1u : 0u;
        }
        u32 total;
        u32 to = sum_before(pass, total, shared);
        if (threadIdx.x == 0) {
            shared->gathered = total ? (u32)(atomicAdd(&tally[batch].done, (u64)total << 32) >> 32) : 0u;
        }
        __syncthreads();
        to += shared->gathered;
#pragma unroll
        for (u32 i = 0; i < most; ++i) {
            if (mine[i] >= bound) {
                passed[to++] = key_of(mine[i], first + i * 1024u);
            }
        }
        __threadfence();
        __syncthreads();
        if (threadIdx.x == 0) {
            u64 before = atomicAdd(&tally[batch].done, 1ull);
            __threadfence();
            shared->gathered = (u32)before + 1u == parts ? (u32)(before >> 32) : ~0u;
        }
        __syncthreads();
        u32 count = shared->gathered;
        __syncthreads(); // all have read
        if (count == ~0u) {
            return;
        }
        offered.passed = passed;
        offered.count = count;
#pragma unroll
        for (u32 i = 0; i < HELD_KEYS; ++i) {
            keys[i] = offered(i * blockDim.x + threadIdx.x);
        }
    }
    u32 words = (slots + 31u) / 32u;
    HeldOutputs outputs;
    outputs.row.index = index + (size_t)batch * topk;
    outputs.row.score = score + (size_t)batch * topk;
    outputs.row.bits = bits + (size_t)batch * words;
    u64 *list = reinterpret_cast<u64 *>(shared + 1);
    u32 *staged = reinterpret_cast<u32 *>(list + max(power_of_two_at_least(topk), topk + CROWD));
    bool stages = words <= MOST_STAGED_WORDS;
    outputs.staged = stages ? shared_address(staged) : 0u;
    if (stages) {
        // No bit is set before the block has met.
        for (u32 i = threadIdx.x; i < words; i += blockDim.x) {
            staged[i] = 0;
        }
    }
    select_best(keys, offered, topk, outputs, list, shared);
    if (stages) {
        __syncthreads();
        for (u32 i = threadIdx.x; i < words; i += blockDim.x) {
            outputs.row.bits[i] = staged[i];
        }
    }
}
