// nvrtc: --gpu-architecture=compute_90a
//
// The fused lane on Hopper's tensor cores, in e4m3: queries and keys in blocks of one vector with one scale each,
// a power of two, as DeepSeek's indexer has them (scale_fmt "ue8m0").
//
// x of a vector becomes e4m3(x / s), to nearest even, with s the smallest power of two that keeps the vector within
// e4m3's largest number. A score is scale(key) * sum over heads of (weight * scale(query)) * relu(dot): the scales are
// exact, so that all that is lost is lost by e4m3 and by the tensor core, which keeps 13 bits of an 8-bit sum.
#include "fused_warpgroups.cuh"

// e4m3's largest number is 448 = 1.75 * 2^8.
#define LARGEST_EXPONENT 8u
#define LARGEST_FRACTION 0x600000u
// No vector counts as smaller than this.
#define SMALLEST_MAXIMUM 1e-4f

// The scale's bits, for a vector whose largest magnitude is `largest`, 1e-4 or more; infinity counts as the largest
// finite number. Its reciprocal is normal too.
__device__ __forceinline__ u32 scale_bits(float largest) {
    u32 bits = min(__float_as_uint(largest), 0x7f7fffffu);
    u32 exponent = (bits >> 23) - LARGEST_EXPONENT + ((bits & 0x7fffffu) > LARGEST_FRACTION ? 1u : 0u);
    return exponent << 23;
}

// Two values as e4m3, the first in the lower byte; what is too large becomes 448.
__device__ __forceinline__ u32 to_e4m3(float first, float second) {
    u16 pair;
    asm("cvt.rn.satfinite.e4m3x2.f32 %0, %1, %2;" : "=h"(pair) : "f"(second), "f"(first));
    return pair;
}

// q [query_vectors, D] bf16 into q8, w [query_vectors] times the scales into weights; k [key_vectors, D] bf16 into k8
// and its scales. D / 8 lanes for each vector; any grid of whole warps.
template <u32 D>
__device__ __forceinline__ void to_fp8(const u16 *q, const u16 *k, const float *w, unsigned char *q8, unsigned char *k8,
                                       float *weights, float *scales, u64 query_vectors, u64 key_vectors) {
    const u32 lanes = D / 8u;
    u64 all = query_vectors + key_vectors;
    u64 step = (u64)gridDim.x * (blockDim.x / lanes);
    u32 piece = threadIdx.x % lanes;
    // The same number of turns for a whole warp.
    for (u64 first = (u64)blockIdx.x * (blockDim.x / lanes); first < all; first += step) {
        u64 at = first + threadIdx.x / lanes;
        bool there = at < all;
        at = there ? at : all - 1u;
        bool query = at < query_vectors;
        u64 vector = query ? at : at - query_vectors;
        const u16 *from = (query ? q : k) + vector * D + piece * 8u;
        uint4 packed = __ldg(reinterpret_cast<const uint4 *>(from));
        u32 pairs[4] = {packed.x, packed.y, packed.z, packed.w};
        float largest = SMALLEST_MAXIMUM;
        bool broken = false;
#pragma unroll
        for (u32 i = 0; i < 4u; ++i) {
            float first = bf16_low(pairs[i]);
            float second = bf16_high(pairs[i]);
            largest = fmaxf(largest, fmaxf(fabsf(first), fabsf(second)));
            broken = broken || first != first || second != second;
        }
        // With a NaN every dot would be one, which counts as 0.
        u32 together = ((1u << (lanes - 1u)) * 2u - 1u) << (threadIdx.x % LANES / lanes * lanes);
        broken = __ballot_sync(FULL_MASK, broken) & together;
#pragma unroll
        for (u32 step = lanes / 2u; step; step >>= 1) {
            largest = fmaxf(largest, __shfl_xor_sync(FULL_MASK, largest, step));
        }
        u32 bits = scale_bits(largest);
        float scale = __uint_as_float(bits);
        float reciprocal = __uint_as_float((254u << 23) - bits);
        u32 halves[4];
#pragma unroll
        for (u32 i = 0; i < 4u; ++i) {
            u32 pair = to_e4m3(bf16_low(pairs[i]) * reciprocal, bf16_high(pairs[i]) * reciprocal);
            halves[i] = broken ? 0u : pair;
        }
        if (there) {
            uint2 eight = make_uint2(halves[0] | halves[1] << 16, halves[2] | halves[3] << 16);
            *reinterpret_cast<uint2 *>((query ? q8 : k8) + vector * D + piece * 8u) = eight;
            if (piece == 0) {
                if (query) {
                    weights[vector] = __ldg(w + vector) * scale;
                } else {
                    scales[vector] = scale;
                }
            }
        }
    }
}

#define FUSED_FP8(D)                                                                                                   \
    extern "C" __global__ void to_fp8_d##D(const u16 *q, const u16 *k, const float *w, unsigned char *q8,              \
                                           unsigned char *k8, float *weights, float *scales, u64 query_vectors,        \
                                           u64 key_vectors) {                                                          \
        to_fp8<D>(q, k, w, q8, k8, weights, scales, query_vectors, key_vectors);                                       \
    }                                                                                                                  \
    extern "C" __global__ void __launch_bounds__(640, 1) fused_fp8_d##D(                                               \
        const unsigned char *q8, const __grid_constant__ TensorMap k8, const float *scales, const float *weights,      \
        const int *start, const int *end, int *index, u16 *score, float *maximum, float *sum, u32 *bits, u32 queries, u32 keys,          \
        u32 batches, u32 heads, u32 topk, u32 capacity) {                                                              \
        fused_warpgroups<E4m3, D>(q8, &k8, scales, weights, start, end, index, score, maximum, sum, bits, queries,      \
                                  keys, batches, heads, topk, capacity);                                               \
    }

FUSED_FP8(32)
FUSED_FP8(64)
FUSED_FP8(128)
