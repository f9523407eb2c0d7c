// Softmax of rows, one block a row of which only the first lengths[row] elements are there.
extern "C" __global__ void row_max(const float *x, const int *lengths, float *top, int width) {
    __shared__ float shared[128];
    int row = blockIdx.x;
    float most = -1e30f;
    for (int i = threadIdx.x; i < lengths[row]; i += blockDim.x) {
        most = fmaxf(most, x[row * width + i]);
    }
    shared[threadIdx.x] = most;
    __syncthreads();
    for (int half = blockDim.x / 2; half > 0; half /= 2) {
        if (threadIdx.x < half) {
            shared[threadIdx.x] = fmaxf(shared[threadIdx.x], shared[threadIdx.x + half]);
        }
        __syncthreads();
    }
    if (threadIdx.x == 0) {
        top[row] = shared[0];
    }
}

extern "C" __global__ void row_softmax(const float *x, const int *lengths, const float *top, float *y, int width) {
    extern __shared__ float sums[];
    int row = blockIdx.x;
    float sum = 0.0f;
    for (int i = threadIdx.x; i < lengths[row]; i += blockDim.x) {
        sum += exp2f((x[row * width + i] - top[row]) * 1.44269504f);
    }
    sums[threadIdx.x] = sum;
    __syncthreads();
    for (int half = blockDim.x / 2; half > 0; half /= 2) {
        if (threadIdx.x < half) {
            sums[threadIdx.x] += sums[threadIdx.x + half];
        }
        __syncthreads();
    }
    for (int i = threadIdx.x; i < lengths[row]; i += blockDim.x) {
        y[row * width + i] = exp2f((x[row * width + i] - top[row]) * 1.44269504f) / sums[0];
    }
}
