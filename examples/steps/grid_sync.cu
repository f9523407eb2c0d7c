// A barrier of the whole grid of a kernel's own making: each block's first thread counts, and waits until all have.
// It takes a cooperative launch, which promises that all blocks run at once.
__device__ void grid_barrier(unsigned *count) {
    __syncthreads();
    if (threadIdx.x == 0) {
        __threadfence();
        unsigned before = atomicAdd(count, 1);
        // The count never goes back: this turn ends with the next multiple of the number of blocks.
        unsigned end = (before / gridDim.x + 1) * gridDim.x;
        while (atomicAdd(count, 0) < end) {
        }
        __threadfence();
    }
    __syncthreads();
}

// y = x / (sum of |x|), with one sum a block in between.
extern "C" __global__ void normalise(const float *x, float *y, float *sums, unsigned *count, int n) {
    __shared__ float part[128];
    float sum = 0.0f;
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) {
        sum += fabsf(x[i]);
    }
    part[threadIdx.x] = sum;
    __syncthreads();
    for (int half = 64; half > 0; half /= 2) {
        if (threadIdx.x < half) {
            part[threadIdx.x] += part[threadIdx.x + half];
        }
        __syncthreads();
    }
    if (threadIdx.x == 0) {
        sums[blockIdx.x] = part[0];
    }
    grid_barrier(count);
    float all = 0.0f;
    for (int block = 0; block < gridDim.x; block++) {
        all += sums[block];
    }
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) {
        y[i] = x[i] / all;
    }
}
