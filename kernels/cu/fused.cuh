// The fused row: one warp scores one query row tile by tile and keeps its top-k and its
// softmax statistics. No score leaves the chip.
#pragma once
#include "score.cuh"
#include "stream.cuh"

// Dynamic shared memory, in this order: keys [TILE_KEYS, D + 4] fp32; then for each warp:
// queries [STAGED, D] fp32, histogram [RADIX_BINS] u32, candidates [capacity] u64.
// The host's twin is `fused_shared` in src/layout.rs.
template <u32 D> struct FusedShared {
    float *tile;
    float *staged;
    u32 *histogram;
    u64 *candidates;

    __device__ __forceinline__ FusedShared(unsigned char *shared, u32 capacity) {
        u32 warp = threadIdx.x / LANES;
        u32 per_warp = STAGED * D * 4u + RADIX_BINS * 4u + capacity * 8u;
        tile = reinterpret_cast<float *>(shared);
        unsigned char *mine = shared + TILE_KEYS * key_stride<D>() * 4u + warp * per_warp;
        staged = reinterpret_cast<float *>(mine);
        histogram = reinterpret_cast<u32 *>(mine + STAGED * D * 4u);
        candidates = reinterpret_cast<u64 *>(mine + STAGED * D * 4u + RADIX_BINS * 4u);
    }
};

// Streams keys [first, last) of tiles through the warp's row. All warps of the block call it
// with the same tile range; `limits` are the warp's own, empty for a warp without a row.
template <u32 D>
__device__ __forceinline__ Statistics stream_row(FusedShared<D> shared, StreamTopk &best, Limits limits, u32 first_tile,
                                                 u32 last_tile, const u16 *q, const float *w, const u16 *k, u32 keys,
                                                 u32 batches, u32 batch, u32 heads) {
    u32 lane = threadIdx.x & 31u;
    Statistics mine = no_statistics();
    bool fresh = true;
    for (u32 tile = first_tile; tile < last_tile; ++tile) {
        u32 base = tile * TILE_KEYS;
        __syncthreads();
        load_keys<D>(shared.tile, k, base, keys, batches, batch);
        __syncthreads();
        if (base < limits.high && base + TILE_KEYS > limits.low) {
            float scores[2];
            score_row<D>(scores, shared.staged, shared.tile, q, w, heads, fresh || heads > STAGED);
            fresh = false;
            u32 near = base + lane;
            u32 far = near + LANES;
            float a = effective_score(scores[0], near >= limits.low && near < limits.high);
            float b = effective_score(scores[1], far >= limits.low && far < limits.high);
            add_pair(mine, a, b);
            best.offer_pair(candidate_key(a, near), candidate_key(b, far));
        }
    }
    return join_lanes(mine);
}
