// The fused lane: scores, streaming top-k and softmax statistics in one pass over the keys.
#include "fused.cuh"

// Grid: (ceil(queries / warps of a block), batches). One warp a query row.
// q [queries, batches, heads, D] bf16; k [keys, batches, D] bf16; w [queries, batches, heads] fp32;
// start, end [batches, queries] i32; index, score [batches, queries, topk]; maximum, sum
// [batches, queries] fp32; bits [batches, queries, ceil(keys / 32)] u32, zeroed before.
template <u32 D>
__device__ __forceinline__ void fused(const u16 *q, const u16 *k, const float *w, const int *start, const int *end,
                                      int *index, u16 *score, float *maximum, float *sum, u32 *bits, u32 queries,
                                      u32 keys, u32 batches, u32 heads, u32 topk, u32 capacity) {
    FusedShared<D> shared(shared_memory, capacity);
    u32 warps = blockDim.x / LANES;
    u32 batch = blockIdx.y;
    u32 first_row = blockIdx.x * warps;
    u32 row = first_row + threadIdx.x / LANES;
    bool present = row < queries;

    // The tiles that any row of the block needs, so that all warps meet at the same barriers.
    Limits limits;
    limits.low = 0;
    limits.high = 0;
    u32 low = keys;
    u32 high = 0;
    for (u32 other = first_row; other < min(first_row + warps, queries); ++other) {
        size_t cell = (size_t)batch * queries + other;
        Limits its = clamp_limits(__ldg(start + cell), __ldg(end + cell), keys);
        low = its.low < its.high ? min(low, its.low) : low;
        high = its.low < its.high ? max(high, its.high) : high;
        limits.low = other == row ? its.low : limits.low;
        limits.high = other == row ? its.high : limits.high;
    }

    StreamTopk best;
    best.begin(shared.candidates, shared.histogram, capacity, topk);
    size_t source = ((size_t)(present ? row : 0u) * batches + batch) * heads;
    Statistics joined = stream_row<D>(shared, best, limits, low / TILE_KEYS, (high + TILE_KEYS - 1u) / TILE_KEYS,
                                      q + source * D, w + source, k, keys, batches, batch, heads);
    if (!present) {
        return;
    }
    u32 picks = best.finish();
    size_t cell = (size_t)batch * queries + row;
    RowOutputs outputs;
    outputs.index = index + cell * topk;
    outputs.score = score + cell * topk;
    outputs.bits = bits + cell * ((keys + 31u) / 32u);
    u32 lane = threadIdx.x & 31u;
    write_row(outputs, shared.candidates, picks, topk, lane, LANES);
    if (lane == 0) {
        maximum[cell] = joined.maximum;
        sum[cell] = joined.sum;
    }
}

#define FUSED(D)                                                                                                       \
    extern "C" __global__ void __launch_bounds__(128) fused_d##D(                                                      \
        const u16 *q, const u16 *k, const float *w, const int *start, const int *end, int *index, u16 *score,          \
        float *maximum, float *sum, u32 *bits, u32 queries, u32 keys, u32 batches, u32 heads, u32 topk,                \
        u32 capacity) {                                                                                                \
        fused<D>(q, k, w, start, end, index, score, maximum, sum, bits, queries, keys, batches, heads, topk,           \
                 capacity);                                                                                            \
    }

FUSED(32)
FUSED(64)
FUSED(128)
