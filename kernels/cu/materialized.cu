// The materialized lane: every head's dot product goes to a slab in device memory first.
#include "score.cuh"

// Grid: (ceil(queries / 4), ceil(keys / TILE_KEYS), batches), four warps, one query row each.
// slab [queries, batches, heads, keys] fp32 = q . k, before the relu.
// Dynamic shared memory: keys [TILE_KEYS, D + 4] fp32, then for each warp queries [STAGED, D] fp32.
template <u32 D>
__device__ __forceinline__ void slab_dots(float *slab, const u16 *q, const u16 *k, u32 queries, u32 keys, u32 batches,
                                          u32 heads) {
    float *tile = reinterpret_cast<float *>(shared_memory);
    float *staged = tile + TILE_KEYS * key_stride<D>() + (threadIdx.x / LANES) * STAGED * D;
    u32 lane = threadIdx.x & 31u;
    u32 row = blockIdx.x * (blockDim.x / LANES) + threadIdx.x / LANES;
    u32 base = blockIdx.y * TILE_KEYS;
    u32 batch = blockIdx.z;
    load_keys<D>(tile, k, base, keys, batches, batch);
    __syncthreads();
    if (row >= queries) {
        return;
    }
    size_t source = ((size_t)row * batches + batch) * heads;
    u32 near = base + lane;
    u32 far = near + LANES;
    for (u32 head = 0; head < heads; head += STAGED) {
        u32 count = min(STAGED, heads - head);
        __syncwarp();
        stage_queries<D>(staged, q + (source + head) * D, D, count);
        __syncwarp();
        float *out = slab + (source + head) * keys;
        if (count == STAGED) {
            float dots[STAGED][2];
            dot_tile<D, STAGED>(dots, staged, tile);
            if (near < keys) {
#pragma unroll
                for (u32 n = 0; n < STAGED; ++n) {
                    out[(size_t)n * keys + near] = dots[n][0];
                }
            }
            if (far < keys) {
#pragma unroll
                for (u32 n = 0; n < STAGED; ++n) {
                    out[(size_t)n * keys + far] = dots[n][1];
                }
            }
        } else {
            for (u32 n = 0; n < count; ++n) {
                float dots[1][2];
                dot_tile<D, 1>(dots, staged + n * D, tile);
                if (near < keys) {
                    out[(size_t)n * keys + near] = dots[0][0];
                }
                if (far < keys) {
                    out[(size_t)n * keys + far] = dots[0][1];
                }
            }
        }
    }
}

#define SLAB(D)                                                                                                        \
    extern "C" __global__ void __launch_bounds__(128) slab_dots_d##D(                                                  \
        float *slab, const u16 *q, const u16 *k, u32 queries, u32 keys, u32 batches, u32 heads) {                      \
        slab_dots<D>(slab, q, k, queries, keys, batches, heads);                                                       \
    }

SLAB(32)
SLAB(64)
SLAB(128)

// Grid: (queries, ceil(keys / threads), batches). scores [batches, queries, keys] fp32 =
// sum over heads, head 0 first, of w * relu(slab). The limits are applied by the top-k.
extern "C" __global__ void __launch_bounds__(128)
    head_sum(float *scores, const float *slab, const float *w, u32 queries, u32 keys, u32 batches, u32 heads) {
    u32 row = blockIdx.x;
    u32 key = blockIdx.y * blockDim.x + threadIdx.x;
    u32 batch = blockIdx.z;
    if (key >= keys) {
        return;
    }
    size_t source = ((size_t)row * batches + batch) * heads;
    const float *dot = slab + source * keys + key;
    const float *weight = w + source;
    float score = 0.0f;
    for (u32 head = 0; head < heads; ++head) {
        score = add_head(score, __ldg(weight + head), *dot);
        dot += keys;
    }
    scores[((size_t)batch * queries + row) * keys + key] = score;
}
