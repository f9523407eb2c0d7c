// Work that depends on numbers which only the device knows. One block.

// y = x. Is any of them beyond 1?
extern "C" __global__ void begin(const float *x, float *y, unsigned *turns, unsigned *go, int n) {
    int beyond = 0;
    for (int i = threadIdx.x; i < n; i += blockDim.x) {
        y[i] = x[i];
        beyond |= fabsf(x[i]) > 1.0f;
    }
    beyond = __syncthreads_or(beyond);
    if (threadIdx.x == 0) {
        *turns = 0;
        *go = beyond;
    }
}

// Halves them; again as long as any is beyond 1.
extern "C" __global__ void halve(float *y, unsigned *turns, unsigned *go, int n) {
    int beyond = 0;
    for (int i = threadIdx.x; i < n; i += blockDim.x) {
        y[i] *= 0.5f;
        beyond |= fabsf(y[i]) > 1.0f;
    }
    beyond = __syncthreads_or(beyond);
    if (threadIdx.x == 0) {
        *turns += 1;
        *go = beyond;
    }
}

// By how often they were halved: is it odd, and its remainder by 4.
extern "C" __global__ void sort_out(const unsigned *turns, unsigned *odd, unsigned *rest) {
    *odd = *turns & 1;
    *rest = *turns % 4;
}

extern "C" __global__ void scale(float *y, float by, int n) {
    for (int i = threadIdx.x; i < n; i += blockDim.x) {
        y[i] *= by;
    }
}
