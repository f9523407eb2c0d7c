// What runs only where a flag on the device says so, and a loop that ends itself.
extern "C" __global__ void choose(const int *wanted, unsigned *go, unsigned *turns) {
    *go = *wanted > 0;
    *turns = *wanted & 3;
}

extern "C" __global__ void fill(float *y, float value, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) {
        y[i] = value;
    }
}

extern "C" __global__ void turn(float *y, unsigned *turns, int n) {
    for (int i = threadIdx.x; i < n; i += blockDim.x) {
        y[i] += 1.0f;
    }
    __syncthreads();
    if (threadIdx.x == 0) {
        *turns -= 1;
    }
}
