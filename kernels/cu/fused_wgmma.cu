// nvrtc: --gpu-architecture=compute_90a
//
// The fused lane on Hopper's tensor cores, in bf16.
//
// The products of a dot are added in the tensor core's own order: scores agree with the portable lanes to rounding
// only. Everything behind them is exact and in a fixed order.
#include "fused_warpgroups.cuh"

#define FUSED_WGMMA(D)                                                                                                 \
    extern "C" __global__ void __launch_bounds__(640, 1) fused_wgmma_d##D(                                             \
        const unsigned char *q, const __grid_constant__ TensorMap k, const float *w, const int *start, const int *end, \
        int *index, u16 *score, float *maximum, float *sum, u32 *bits, u32 queries, u32 keys, u32 batches, u32 heads, u32 topk,    \
        u32 capacity) {                                                                                                \
        fused_warpgroups<Bf16, D>(q, &k, nullptr, w, start, end, index, score, maximum, sum, bits, queries, keys,       \
                                  batches, heads, topk, capacity);                                                     \
    }

FUSED_WGMMA(32)
FUSED_WGMMA(64)
FUSED_WGMMA(128)
