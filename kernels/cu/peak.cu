// nvrtc: --gpu-architecture=compute_90a
//
// What the tensor cores do where nothing else is asked of them: products of tiles that stay in shared memory. The lanes on
// wgmma are measured by it.
#include "warpgroup.cuh"

#define PEAK_ROWS 64u
#define PEAK_COLUMNS 256u
#define PEAK_BYTES ((PEAK_ROWS + PEAK_COLUMNS) * 128u)

struct PeakBf16 {
    static __device__ __forceinline__ void multiply(float (&c)[128], u64 a, u64 b, u32 add) { wgmma_bf16(c, a, b, add); }
};
struct PeakE4m3 {
    static __device__ __forceinline__ void multiply(float (&c)[128], u64 a, u64 b, u32 add) { wgmma_e4m3(c, a, b, add); }
};

// Any grid of blocks of two warpgroups. tile [64 + 256, 128 bytes]: rows and columns of a product, as they lie in shared
// memory; sums [blocks, 256] fp32: of each thread's accumulators, of `rounds` > 0 products added up. Dynamic shared memory:
// the tile, from a multiple of 1,024 on. The host's twin is in src/peak.rs.
template <typename Element> __device__ __forceinline__ void peak(const uint4 *tile, float *sums, u32 rounds) {
    unsigned char *shared = shared_memory + ((1024u - (shared_address(shared_memory) & 1023u)) & 1023u);
    for (u32 i = threadIdx.x; i < PEAK_BYTES / 16u; i += 2u * WARPGROUP) {
        reinterpret_cast<uint4 *>(shared)[i] = __ldg(tile + i);
    }
    publish_shared();
    __syncthreads();
    u32 rows = shared_address(shared);
    u32 columns = rows + PEAK_ROWS * 128u;
    float c[128];
#pragma unroll
    for (u32 i = 0; i < 128u; ++i) {
        c[i] = 0.0f;
    }
    pin(c);
    for (u32 round = 0; round < rounds; ++round) {
        wgmma_fence();
#pragma unroll
        for (u32 i = 0; i < 4u; ++i) {
            Element::multiply(c, tile_descriptor(rows + i * 32u), tile_descriptor(columns + i * 32u), 1);
        }
        wgmma_commit();
        wgmma_wait<0>();
    }
    pin(c);
    float sum = 0.0f;
#pragma unroll
    for (u32 i = 0; i < 128u; ++i) {
        sum += c[i];
    }
    sums[blockIdx.x * 2u * WARPGROUP + threadIdx.x] = sum;
}

extern "C" __global__ void __launch_bounds__(256, 1) peak_bf16(const uint4 *tile, float *sums, u32 rounds) {
    peak<PeakBf16>(tile, sums, rounds);
}
extern "C" __global__ void __launch_bounds__(256, 1) peak_e4m3(const uint4 *tile, float *sums, u32 rounds) {
    peak<PeakE4m3>(tile, sums, rounds);
}
