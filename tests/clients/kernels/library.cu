// Kernels over NVIDIA's own device libraries, for nvcc: CUB, cooperative groups, WMMA, libcu++.
#include <cooperative_groups.h>
#include <cooperative_groups/reduce.h>
#include <cub/cub.cuh>
#include <cuda/atomic>
#include <cuda/std/array>
#include <cuda/std/complex>
#include <cuda_pipeline.h>
#include <mma.h>

namespace cg = cooperative_groups;

extern "C" __global__ void block_radix_sort(const unsigned* in, unsigned* out) {
    using Load = cub::BlockLoad<unsigned, 128, 4, cub::BLOCK_LOAD_TRANSPOSE>;
    using Store = cub::BlockStore<unsigned, 128, 4, cub::BLOCK_STORE_TRANSPOSE>;
    using Sort = cub::BlockRadixSort<unsigned, 128, 4>;
    __shared__ union {
        typename Load::TempStorage load;
        typename Store::TempStorage store;
        typename Sort::TempStorage sort;
    } shared;
    unsigned keys[4];
    Load(shared.load).Load(in + blockIdx.x * 512, keys);
    __syncthreads();
    Sort(shared.sort).Sort(keys);
    __syncthreads();
    Store(shared.store).Store(out + blockIdx.x * 512, keys);
}

extern "C" __global__ void block_scan(const int* in, int* out) {
    using Scan = cub::BlockScan<int, 256>;
    __shared__ typename Scan::TempStorage shared;
    int value = in[blockIdx.x * 256 + threadIdx.x];
    Scan(shared).InclusiveSum(value, value);
    out[blockIdx.x * 256 + threadIdx.x] = value;
}

extern "C" __global__ void block_reduce(const double* in, double* out) {
    using Reduce = cub::BlockReduce<double, 128>;
    __shared__ typename Reduce::TempStorage shared;
    double most = Reduce(shared).Reduce(in[blockIdx.x * 128 + threadIdx.x], cuda::maximum<>{});
    if (threadIdx.x == 0) out[blockIdx.x] = most;
}

extern "C" __global__ void block_histogram(const unsigned char* in, unsigned* out) {
    using Histogram = cub::BlockHistogram<unsigned char, 128, 4, 64>;
    __shared__ typename Histogram::TempStorage shared;
    __shared__ unsigned bins[64];
    unsigned char values[4];
    for (int i = 0; i < 4; i++) values[i] = in[(blockIdx.x * 128 + threadIdx.x) * 4 + i];
    Histogram(shared).Histogram(values, bins);
    __syncthreads();
    if (threadIdx.x < 64) out[blockIdx.x * 64 + threadIdx.x] = bins[threadIdx.x];
}

extern "C" __global__ void warp_merge_sort(const int* in, int* out) {
    using Sort = cub::WarpMergeSort<int, 4, 32>;
    __shared__ typename Sort::TempStorage shared[4];
    int keys[4], warp = threadIdx.x / 32, at = (blockIdx.x * 128 + threadIdx.x) * 4;
    for (int i = 0; i < 4; i++) keys[i] = in[at + i];
    Sort(shared[warp]).Sort(keys, [](int a, int b) { return a > b; });
    for (int i = 0; i < 4; i++) out[at + i] = keys[i];
}

extern "C" __global__ void group_reduce(const int* in, int* out, int n) {
    auto block = cg::this_thread_block();
    auto tile = cg::tiled_partition<8>(block);
    int i = cg::this_grid().thread_rank();
    int sum = cg::reduce(tile, i < n ? in[i] : 0, cg::plus<int>());
    if (tile.thread_rank() == 0) out[i / 8] = sum;
}

extern "C" __global__ void coalesced_filter(const int* in, int* out, int* count, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n && in[i] > 0) {
        auto active = cg::coalesced_threads();
        int first = 0;
        if (active.thread_rank() == 0) first = atomicAdd(count, active.size());
        out[active.shfl(first, 0) + active.thread_rank()] = in[i];
    }
}

// One warp a tile of 16 x 16 of the product.
extern "C" __global__ void wmma_gemm(const half* a, const half* b, float* c, int n, int k) {
    using namespace nvcuda;
    wmma::fragment<wmma::matrix_a, 16, 16, 16, half, wmma::row_major> af;
    wmma::fragment<wmma::matrix_b, 16, 16, 16, half, wmma::row_major> bf;
    wmma::fragment<wmma::accumulator, 16, 16, 16, float> cf;
    wmma::fill_fragment(cf, 0.f);
    for (int t = 0; t < k; t += 16) {
        wmma::load_matrix_sync(af, a + blockIdx.y * 16 * k + t, k);
        wmma::load_matrix_sync(bf, b + t * n + blockIdx.x * 16, n);
        wmma::mma_sync(cf, af, bf, cf);
    }
    wmma::store_matrix_sync(c + blockIdx.y * 16 * n + blockIdx.x * 16, cf, n, wmma::mem_row_major);
}

extern "C" __global__ void staged_copy(const float4* in, float4* out) {
    __shared__ float4 stage[2][64];
    int t = threadIdx.x, base = blockIdx.x * 256;
    __pipeline_memcpy_async(&stage[0][t], &in[base + t], 16);
    __pipeline_commit();
    for (int s = 0; s < 4; s++) {
        if (s < 3) __pipeline_memcpy_async(&stage[(s + 1) % 2][t], &in[base + (s + 1) * 64 + t], 16);
        __pipeline_commit();
        __pipeline_wait_prior(1);
        __syncthreads();
        float4 other = stage[s % 2][63 - t];
        out[base + s * 64 + t] = make_float4(other.w, other.z, other.y, other.x);
        __syncthreads();
    }
}

extern "C" __global__ void complex_powers(const float2* in, float2* out, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    cuda::std::complex<float> z(in[i].x, in[i].y), p(1.f, 0.f);
    for (int k = 0; k < 5; k++) p = p * z + cuda::std::conj(z);
    out[i] = make_float2(p.real(), p.imag());
}

extern "C" __global__ void ticket_order(int* turn, int* order) {
    cuda::atomic_ref<int, cuda::thread_scope_device> next(*turn);
    if (threadIdx.x == 0) {
        int mine = next.fetch_add(1, cuda::memory_order_acq_rel);
        order[mine] = blockIdx.x;
    }
}

template <typename T, int N>
__device__ T polynomial(const cuda::std::array<T, N>& c, T x) {
    T sum = 0;
    for (auto k = c.rbegin(); k != c.rend(); ++k) sum = sum * x + *k;
    return sum;
}
extern "C" __global__ void polynomials(const double* x, double* y, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] = polynomial<double, 6>({1, -0.5, 0.25, -0.125, 2, -3}, x[i]);
}

extern "C" __global__ void special_functions(const float* x, float* y, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] = sinf(x[i]) + logf(1.f + x[i] * x[i]) + powf(fabsf(x[i]) + 1.f, 0.3f) + tgammaf(1.5f + fabsf(x[i]));
}
