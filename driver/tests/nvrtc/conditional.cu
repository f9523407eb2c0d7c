// Kernels that set the conditionals of a graph. With relocatable device code a call of the device
// runtime is left to the linker.
typedef unsigned long long cudaGraphConditionalHandle;
extern "C" __device__ void cudaGraphSetConditional(cudaGraphConditionalHandle handle, unsigned int value);

// Takes one from *counter and goes on while there is something left.
extern "C" __global__ void count_down(cudaGraphConditionalHandle handle, unsigned int *counter) {
    if (threadIdx.x == 0) {
        unsigned int left = *counter - 1;
        *counter = left;
        cudaGraphSetConditional(handle, left);
    }
}

// Sets what the memory holds.
extern "C" __global__ void choose(cudaGraphConditionalHandle handle, const unsigned int *value) {
    if (blockIdx.x == 0 && threadIdx.x == 0) cudaGraphSetConditional(handle, *value);
}
