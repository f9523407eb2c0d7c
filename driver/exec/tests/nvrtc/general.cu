// Ordinary CUDA code, for the decoder and the interpreter: functions that are not inlined, local
// arrays, slow paths of the math library, 64-bit division, half precision, atomics, a switch.
#include <cuda_bf16.h>
#include <cuda_fp16.h>
__constant__ float table[8] = {1.f, 2.f, 4.f, 8.f, 16.f, 32.f, 64.f, 128.f};
__device__ unsigned int counter = 7;

__device__ __noinline__ float horner(const float *c, int n, float x) {
    float r = 0.f;
    for (int i = 0; i < n; ++i) r = fmaf(r, x, c[i]);
    return r;
}
__device__ __noinline__ int choose(int k, int x) {
    switch (k) {
    case 0: return x + 1;
    case 1: return x * 3;
    case 2: return x - 7;
    case 3: return x ^ 0x55;
    case 4: return x << 3;
    case 5: return x / 3;
    default: return -x;
    }
}
extern "C" __global__ void general(float *f, int *n, unsigned long long *u, int count) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= count) return;
    float c[6];
    for (int k = 0; k < 6; ++k) c[(k + i) % 6] = table[(k * i) & 7] * 0.5f;
    float x = (float)i * 1000.37f;
    f[i] = horner(c, 4 + (i & 1), 0.25f * i) + sinf(x) + logf(1.f + i) + powf(1.01f, (float)i) + tanhf(0.1f * i);
    n[i] = choose(i % 8, i) + __popc(i) + __clz(i) + __ffs(i) + __dp4a(i * 0x01010101, 0x02020202, 5);
    unsigned long long v = 0x123456789abcdefull * (i + 1);
    u[i] = v / (i + 3) + v % (2 * i + 1) + __umul64hi(v, v) + (unsigned long long)(sqrt((double)i) * 1e6);
    __nv_bfloat16 b = __float2bfloat16(x);
    __half h = __float2half(0.1f * i);
    n[i] += (int)__bfloat162float(__hadd(b, b)) + (int)__half2float(__hmul(h, h));
    atomicAdd(&counter, 1u);
    int s = __shfl_down_sync(__activemask(), n[i], 1);
    n[i] ^= s & 0;
}
