// A first program: memory, a launch with <<<>>>, events around it, results.
#include "check.h"
#include <vector>

__global__ void add(const float *a, const float *b, float *c, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) c[i] = a[i] + b[i];
}

template <typename T> __global__ void scale(T *c, T by, int n) {
    extern __shared__ char space[];
    T *shared = reinterpret_cast<T *>(space);
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    shared[threadIdx.x] = i < n ? c[i] : T(0);
    __syncthreads();
    if (i < n) c[i] = shared[threadIdx.x] * by;
}

int main() {
    const int n = 1000;
    std::vector<float> a(n), b(n), c(n);
    for (int i = 0; i < n; i++) a[i] = i, b[i] = 2 * i;
    float *da, *db, *dc;
    OK(cudaMalloc(&da, n * sizeof(float)));
    OK(cudaMalloc(&db, n * sizeof(float)));
    OK(cudaMalloc(&dc, n * sizeof(float)));
    OK(cudaMemcpy(da, a.data(), n * sizeof(float), cudaMemcpyHostToDevice));
    OK(cudaMemcpy(db, b.data(), n * sizeof(float), cudaMemcpyDefault));
    cudaEvent_t start, stop;
    OK(cudaEventCreate(&start));
    OK(cudaEventCreate(&stop));
    OK(cudaEventRecord(start));
    add<<<(n + 127) / 128, 128>>>(da, db, dc, n);
    OK(cudaGetLastError());
    scale<float><<<(n + 63) / 64, 64, 64 * sizeof(float)>>>(dc, 0.5f, n);
    OK(cudaGetLastError());
    OK(cudaEventRecord(stop));
    OK(cudaEventSynchronize(stop));
    float ms = -1;
    OK(cudaEventElapsedTime(&ms, start, stop));
    HOLDS(ms >= 0);
    OK(cudaMemcpy(c.data(), dc, n * sizeof(float), cudaMemcpyDeviceToHost));
    for (int i = 0; i < n; i++) HOLDS(c[i] == 1.5f * i);
    OK(cudaFree(da));
    OK(cudaFree(db));
    OK(cudaFree(dc));
    OK(cudaFree(nullptr));
    puts("ok");
}
