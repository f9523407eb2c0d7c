// The streamed lane: one launch a head adds its share to the score matrix, head 0 first.
#include "score.cuh"

// Adds one head's share to the scores of one key in N query rows, `keys` apart. Head 0 starts
// from +0 and so needs no zeroed buffer.
template <u32 N>
__device__ __forceinline__ void accumulate(float *column, u32 head, const float (&weights)[N],
                                           const float (&dots)[N][2], u32 side, u32 keys) {
    float before[N];
#pragma unroll
    for (u32 n = 0; n < N; ++n) {
        before[n] = 0.0f;
    }
    if (head) {
#pragma unroll
        for (u32 n = 0; n < N; ++n) {
            before[n] = column[(size_t)n * keys];
        }
    }
#pragma unroll
    for (u32 n = 0; n < N; ++n) {
        column[(size_t)n * keys] = add_head(before[n], weights[n], dots[n][side]);
    }
}

// Adds one head's share for N staged query rows and the lane's two keys.
template <u32 D, u32 N>
__device__ __forceinline__ void accumulate_rows(float *scores, const float *staged, const float *tile, const float *w,
                                                size_t stride, u32 head, u32 near, u32 keys) {
    float dots[N][2];
    dot_tile<D, N>(dots, staged, tile);
    float weights[N];
#pragma unroll
    for (u32 n = 0; n < N; ++n) {
        weights[n] = __ldg(w + n * stride);
    }
    if (near < keys) {
        accumulate<N>(scores + near, head, weights, dots, 0, keys);
    }
    if (near + LANES < keys) {
        accumulate<N>(scores + near + LANES, head, weights, dots, 1, keys);
    }
}

// Grid: (ceil(queries / (4 * STAGED)), ceil(keys / TILE_KEYS), batches), four warps of STAGED
// query rows each. scores [batches, queries, keys] fp32 += w * relu(q . k) of `head`.
// The limits are applied by the top-k. Dynamic shared memory as in materialized.cu.
template <u32 D>
__device__ __forceinline__ void accumulate_head(float *scores, const u16 *q, const u16 *k, const float *w, u32 head,
                                                u32 queries, u32 keys, u32 batches, u32 heads) {
    float *tile = reinterpret_cast<float *>(shared_memory);
    float *staged = tile + TILE_KEYS * key_stride<D>() + (threadIdx.x / LANES) * STAGED * D;
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
    float *out = scores + ((size_t)batch * queries + row) * keys;
    if (count == STAGED) {
        accumulate_rows<D, STAGED>(out, staged, tile, w + source, stride, head, near, keys);
    } else {
        for (u32 n = 0; n < count; ++n) {
            accumulate_rows<D, 1>(out + (size_t)n * keys, staged + n * D, tile, w + source + n * stride, stride, head,
                                  near, keys);
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
