// The decode lane: one query row a batch against an index cache that grows on the device.
//
// position [batches] u32 counts the tokens appended so far (modulo 2^32); a token goes to slot
// position % capacity, and min(position + 1, capacity) slots hold a key once it is there. No
// launch parameter depends on the position, so the step can be replayed as it is.
#include "block_select.cuh"
#include "fused.cuh"

// Keys that one block of decode_score streams.
#define SPLIT_KEYS 256u

// Grid: (batches). Appends fresh [batches, width] bf16 to cache [slots, batches, width].
extern "C" __global__ void __launch_bounds__(128)
    decode_append(u16 *cache, const u16 *fresh, const u32 *position, u32 slots, u32 batches, u32 width) {
    u32 batch = blockIdx.x;
    u32 slot = position[batch] % slots;
    for (u32 i = threadIdx.x; i < width; i += blockDim.x) {
        cache[((size_t)slot * batches + batch) * width + i] = fresh[(size_t)batch * width + i];
    }
}

// Grid: (splits, batches), one warp a block. Each block writes the keys of its best
// `kept` candidates, unsorted and zero-filled, and its statistics.
// partial [batches, splits, kept] u64; partial_max, partial_sum [batches, splits] fp32.
template <u32 D>
__device__ __forceinline__ void decode_score(const u16 *q, const u16 *cache, const float *w, const int *start,
                                             const int *end, const u32 *position, u64 *partial, float *partial_max,
                                             float *partial_sum, u32 slots, u32 batches, u32 heads, u32 kept,
                                             u32 capacity) {
    FusedShared<D> shared(shared_memory, capacity);
    u32 split = blockIdx.x;
    u32 batch = blockIdx.y;
    u32 lane = threadIdx.x & 31u;
    u32 at = position[batch];
    u32 length = at >= slots - 1u ? slots : at + 1u;
    Limits limits = clamp_limits(__ldg(start + batch), __ldg(end + batch), length);
    u32 first = split * SPLIT_KEYS;
    u32 last = min(first + SPLIT_KEYS, slots);
    limits.low = max(limits.low, first);
    limits.high = min(limits.high, last);
    bool any = limits.low < limits.high;
    u32 first_tile = any ? limits.low / TILE_KEYS : 0u;
    u32 last_tile = any ? (limits.high + TILE_KEYS - 1u) / TILE_KEYS : 0u;

    StreamTopk best;
    best.begin(shared.candidates, shared.histogram, capacity, kept);
    size_t source = (size_t)batch * heads;
    Statistics joined = stream_row<D>(shared, best, limits, first_tile, last_tile, q + source * D, w + source, cache,
                                      slots, batches, batch, heads);
    u32 picks = best.trim();
    size_t cell = (size_t)batch * gridDim.x + split;
    for (u32 i = lane; i < kept; i += LANES) {
        partial[cell * kept + i] = i < picks ? shared.candidates[i] : 0ull;
    }
    if (lane == 0) {
        partial_max[cell] = joined.maximum;
        partial_sum[cell] = joined.sum;
    }
}

#define DECODE_SCORE(D)                                                                                                \
    extern "C" __global__ void __launch_bounds__(32) decode_score_d##D(                                                \
        const u16 *q, const u16 *cache, const float *w, const int *start, const int *end, const u32 *position,         \
        u64 *partial, float *partial_max, float *partial_sum, u32 slots, u32 batches, u32 heads, u32 kept,             \
        u32 capacity) {                                                                                                \
        decode_score<D>(q, cache, w, start, end, position, partial, partial_max, partial_sum, slots, batches, heads,   \
                        kept, capacity);                                                                               \
    }

DECODE_SCORE(32)
DECODE_SCORE(64)
DECODE_SCORE(128)

struct PartialKeys {
    const u64 *keys;
    __device__ __forceinline__ u64 operator()(u32 i) const { return keys[i]; }
};

// Grid: (batches). Joins the splits of a row. bits [batches, ceil(slots / 32)], zeroed before.
extern "C" __global__ void __launch_bounds__(256)
    decode_merge(const u64 *partial, const float *partial_max, const float *partial_sum, int *index, u16 *score,
                 float *maximum, float *sum, u32 *bits, u32 splits, u32 kept, u32 slots, u32 topk) {
    u32 batch = blockIdx.x;
    PartialKeys source;
    source.keys = partial + (size_t)batch * splits * kept;
    RowOutputs outputs;
    outputs.index = index + (size_t)batch * topk;
    outputs.score = score + (size_t)batch * topk;
    outputs.bits = bits + (size_t)batch * ((slots + 31u) / 32u);
    select_row(source, splits * kept, topk, outputs, shared_memory);

    if (threadIdx.x < LANES) {
        Statistics mine = no_statistics();
        for (u32 split = threadIdx.x; split < splits; split += LANES) {
            Statistics its;
            its.maximum = partial_max[(size_t)batch * splits + split];
            its.sum = partial_sum[(size_t)batch * splits + split];
            add_partial(mine, its);
        }
        Statistics joined = join_lanes(mine);
        if (threadIdx.x == 0) {
            maximum[batch] = joined.maximum;
            sum[batch] = joined.sum;
        }
    }
}

// Grid: (1). Last kernel of the step: everything before it reads the old position.
extern "C" __global__ void __launch_bounds__(128) decode_advance(u32 *position, u32 batches) {
    for (u32 i = threadIdx.x; i < batches; i += blockDim.x) {
        position[i] = position[i] + 1u;
    }
}
