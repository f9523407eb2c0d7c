// The streamed lane: one launch a head adds its share to the score matrix, head 0 first.
#include "score.cuh"

// Grid: (ceil(queries / (4 * STAGED)), ceil(keys / TILE_KEYS), batches), four warps of STAGED
// query rows each. scores [batches, queries, keys] fp32 += w * relu(q . k) of `head`;
// head 0 starts from +0 and so needs no zeroed buffer. The limits are applied by the top-k.
template <u32 D>
__device__ __forceinline__ void accumulate_head(float *scores, const u16 *q, const u16 *k, const float *w, u32 head,
                                                u32 queries, u32 keys, u32 batches, u32 heads) {
    extern __shared__ __align__(16) float memory[];
    float *tile = memory;
    float *staged = memory + TILE_KEYS * key_stride<D>() + (threadIdx.x / LANES) * STAGED * D;
    u32 lane = threadIdx.x & 31u;
    u32 row = (blockIdx.x * (blockDim.x / LANES) + threadIdx.x / LANES) * STAGED;
    u32 base = blockIdx.y * TILE_KEYS;
    u32 batch = blockIdx.z;
    load_keys<D>(tile, k, base, keys, batches, batch);
    __syncthreads();
    if (row >= queries) {
        return;
    }
    u32 count = min(STAGED, queries - row);
    size_t source = ((size_t)row * batches + batch) * heads + head;
    size_t stride = (size_t)batches * heads; // from one query row to the next
    stage_queries<D>(staged, q + source * D, stride * D, count);
    __syncwarp();
    u32 near = base + lane;
    u32 far = near + LANES;
    float *out = scores + ((size_t)batch * queries + row) * keys;
    float dots[STAGED][2];
    if (count == STAGED) {
        dot_tile<D, STAGED>(dots, staged, tile);
    } else {
#pragma unroll
        for (u32 n = 0; n < STAGED; ++n) {
            if (n < count) {
                float one[1][2];
                dot_tile<D, 1>(one, staged + n * D, tile);
                dots[n][0] = one[0][0];
                dots[n][1] = one[0][1];
            }
        }
    }
#pragma unroll
    for (u32 n = 0; n < STAGED; ++n) {
        if (n < count) {
            float weight = __ldg(w + source + n * stride);
            float *line = out + (size_t)n * keys;
            if (near < keys) {
                line[near] = add_head(head ? line[near] : 0.0f, weight, dots[n][0]);
            }
            if (far < keys) {
                line[far] = add_head(head ? line[far] : 0.0f, weight, dots[n][1]);
            }
        }
    }
}

#define ACCUMULATE(D)                                                                                                  \
    extern "C" __global__ void __launch_bounds__(128)                                                                  \
        accumulate_head_d##D(float *scores, const u16 *q, const u16 *k, const float *w, u32 head, u32 queries,         \
                             u32 keys, u32 batches, u32 heads) {                                                       \
        accumulate_head<D>(scores, q, k, w, head, queries, keys, batches, heads);                                      \
    }

ACCUMULATE(32)
ACCUMULATE(64)
ACCUMULATE(128)
