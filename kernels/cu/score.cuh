// Scores on the CUDA cores: dot products of staged query vectors with a tile of keys.
//
// Every product is one fmaf, in ascending order of d, starting from +0: all lanes that use this
// file agree bit for bit.
#pragma once
#include "common.cuh"

// Query vectors that a warp multiplies at once with its tile: 8 vectors by 2 keys a lane keep
// shared-memory reads and fmas in balance.
#define STAGED 8u

// Floats from one key of the tile to the next. The padding of 4 lets the eight lanes of a
// quarter warp read 16 bytes each without a bank conflict.
template <u32 D> __device__ __forceinline__ constexpr u32 key_stride() { return D + 4u; }

// Stores eight bf16 as fp32.
__device__ __forceinline__ void widen(float *to, uint4 packed) {
    float4 first = make_float4(bf16_low(packed.x), bf16_high(packed.x), bf16_low(packed.y), bf16_high(packed.y));
    float4 second = make_float4(bf16_low(packed.z), bf16_high(packed.z), bf16_low(packed.w), bf16_high(packed.w));
    reinterpret_cast<float4 *>(to)[0] = first;
    reinterpret_cast<float4 *>(to)[1] = second;
}

// The block loads keys [first, first + TILE_KEYS) of batch `batch` into `tile` as fp32. A key
// past the end repeats the last one; its score is discarded by the limits.
// k: [keys, batches, D] bf16.
template <u32 D>
__device__ __forceinline__ void load_keys(float *tile, const u16 *k, u32 first, u32 keys, u32 batches, u32 batch) {
    const u32 pieces = D / 8u; // of 16 bytes
    for (u32 i = threadIdx.x; i < TILE_KEYS * pieces; i += blockDim.x) {
        u32 row = i / pieces;
        u32 piece = i % pieces;
        u32 key = min(first + row, keys - 1u);
        const u16 *from = k + ((size_t)key * batches + batch) * D + piece * 8u;
        widen(tile + row * key_stride<D>() + piece * 8u, __ldg(reinterpret_cast<const uint4 *>(from)));
    }
}

// The warp copies `count` query vectors, `stride` elements apart, into `staged` [count, D] as
// fp32. The caller synchronises the warp.
template <u32 D>
__device__ __forceinline__ void stage_queries(float *staged, const u16 *q, size_t stride, u32 count) {
    const u32 pieces = D / 8u;
    for (u32 i = threadIdx.x & 31u; i < count * pieces; i += LANES) {
        u32 row = i / pieces;
        u32 piece = i % pieces;
        const u16 *from = q + (size_t)row * stride + piece * 8u;
        widen(staged + row * D + piece * 8u, __ldg(reinterpret_cast<const uint4 *>(from)));
    }
}

// Four floats of shared memory at a fixed distance from `address`. Written as PTX because NVRTC
// splits and rejoins float4 loads in an order that varies from run to run, and the committed PTX
// is compared byte for byte. Volatile: it must stay between the barriers around it.
template <u32 Bytes> __device__ __forceinline__ float4 load_shared(u32 address) {
    float4 value;
    asm volatile("ld.shared.v4.f32 {%0, %1, %2, %3}, [%4+%5];"
                 : "=f"(value.x), "=f"(value.y), "=f"(value.z), "=f"(value.w)
                 : "r"(address), "n"(Bytes)
                 : "memory");
    return value;
}

// Four terms of vectors n to N - 1 with both keys.
template <u32 D, u32 N, u32 n>
__device__ __forceinline__ void add_products(float (&dots)[N][2], u32 staged, float4 a, float4 b) {
    if constexpr (n < N) {
        float4 v = load_shared<n * D * 4u>(staged);
        dots[n][0] = fmaf(v.x, a.x, dots[n][0]);
        dots[n][1] = fmaf(v.x, b.x, dots[n][1]);
        dots[n][0] = fmaf(v.y, a.y, dots[n][0]);
        dots[n][1] = fmaf(v.y, b.y, dots[n][1]);
        dots[n][0] = fmaf(v.z, a.z, dots[n][0]);
        dots[n][1] = fmaf(v.z, b.z, dots[n][1]);
        dots[n][0] = fmaf(v.w, a.w, dots[n][0]);
        dots[n][1] = fmaf(v.w, b.w, dots[n][1]);
        add_products<D, N, n + 1u>(dots, staged, a, b);
    }
}

// dots[n][0] and dots[n][1]: staged vector n times the lane's two keys, `lane` and `lane + 32`.
template <u32 D, u32 N>
__device__ __forceinline__ void dot_tile(float (&dots)[N][2], const float *staged, const float *tile) {
    u32 near = shared_address(tile + (threadIdx.x & 31u) * key_stride<D>());
    u32 vectors = shared_address(staged);
#pragma unroll
    for (u32 n = 0; n < N; ++n) {
        dots[n][0] = 0.0f;
        dots[n][1] = 0.0f;
    }
#pragma unroll 1
    for (u32 i = 0; i < D; i += 4u) {
        float4 a = load_shared<0>(near);
        float4 b = load_shared<LANES * key_stride<D>() * 4u>(near);
        add_products<D, N, 0>(dots, vectors, a, b);
        near += 16u;
        vectors += 16u;
    }
}

// score += weight * relu(dot). relu of NaN is 0, as max.f32 has it.
__device__ __forceinline__ float add_head(float score, float weight, float dot) {
    return fmaf(weight, fmaxf(dot, 0.0f), score);
}

// Adds all heads of one query row to the lane's two scores, head 0 first.
// q: the row's [heads, D] bf16; w: its [heads] fp32. With at most STAGED heads the vectors stay
// staged from tile to tile: pass `restage` only for the first.
template <u32 D>
__device__ __forceinline__ void score_row(float (&scores)[2], float *staged, const float *tile, const u16 *q,
                                          const float *w, u32 heads, bool restage) {
    scores[0] = 0.0f;
    scores[1] = 0.0f;
    for (u32 head = 0; head < heads; head += STAGED) {
        u32 count = min(STAGED, heads - head);
        if (restage) {
            __syncwarp();
            stage_queries<D>(staged, q + (size_t)head * D, D, count);
            __syncwarp();
        }
        if (count == STAGED) {
            float dots[STAGED][2];
            dot_tile<D, STAGED>(dots, staged, tile);
#pragma unroll
            for (u32 n = 0; n < STAGED; ++n) {
                float weight = __ldg(w + head + n);
                scores[0] = add_head(scores[0], weight, dots[n][0]);
                scores[1] = add_head(scores[1], weight, dots[n][1]);
            }
        } else {
            for (u32 n = 0; n < count; ++n) {
                float dots[1][2];
                dot_tile<D, 1>(dots, staged + n * D, tile);
                float weight = __ldg(w + head + n);
                scores[0] = add_head(scores[0], weight, dots[0][0]);
                scores[1] = add_head(scores[1], weight, dots[0][1]);
            }
        }
    }
}
