// Launches other than <<<>>>: by pointer, cooperative, with attributes; occupancy and function attributes.
#include "check.h"
#include <cooperative_groups.h>

__global__ void __launch_bounds__(256) rendezvous(int *arrived, int *seen, int blocks) {
    if (threadIdx.x == 0) atomicAdd(arrived, 1);
    // No block goes on before all have arrived.
    cooperative_groups::this_grid().sync();
    if (threadIdx.x == 0) seen[blockIdx.x] = *arrived + blocks - gridDim.x;
}

__global__ void dynamic(int *p, char last) {
    extern __shared__ int space[];
    space[threadIdx.x] = threadIdx.x;
    __syncthreads();
    p[threadIdx.x] = space[blockDim.x - 1 - threadIdx.x] + last;
}

int main() {
    int per = 0, grid = 0, block = 0, blocks = 8;
    OK(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&per, rendezvous, 256, 0));
    HOLDS(per >= 1);
    OK(cudaOccupancyMaxPotentialBlockSize(&grid, &block, rendezvous));
    HOLDS(block >= 32 && block <= 256 && grid >= 1);
    cudaFuncAttributes attributes;
    OK(cudaFuncGetAttributes(&attributes, rendezvous));
    HOLDS(attributes.maxThreadsPerBlock == 256 && attributes.numRegs > 0 && attributes.binaryVersion >= 80);
    HOLDS(attributes.maxDynamicSharedSizeBytes == 48 * 1024);

    int *arrived, *seen;
    OK(cudaMalloc(&arrived, sizeof(int)));
    OK(cudaMalloc(&seen, 128 * sizeof(int)));
    OK(cudaMemset(arrived, 0, sizeof(int)));
    void *arguments[] = {&arrived, &seen, &blocks};
    OK(cudaLaunchCooperativeKernel((void *)rendezvous, dim3(blocks), dim3(64), arguments, 0, 0));
    int host[128];
    OK(cudaMemcpy(host, seen, blocks * sizeof(int), cudaMemcpyDeviceToHost));
    for (int i = 0; i < blocks; i++) HOLDS(host[i] == blocks);
    IS(cudaLaunchCooperativeKernel((void *)rendezvous, dim3(1 << 20), dim3(256), arguments, 0, 0),
       cudaErrorCooperativeLaunchTooLarge);

    OK(cudaMemset(arrived, 0, sizeof(int)));
    cudaLaunchAttribute attribute{};
    attribute.id = cudaLaunchAttributeCooperative;
    attribute.val.cooperative = 1;
    cudaLaunchConfig_t config{};
    config.gridDim = blocks;
    config.blockDim = 32;
    config.attrs = &attribute;
    config.numAttrs = 1;
    OK(cudaLaunchKernelEx(&config, rendezvous, arrived, seen, blocks));
    OK(cudaMemcpy(host, seen, blocks * sizeof(int), cudaMemcpyDeviceToHost));
    for (int i = 0; i < blocks; i++) HOLDS(host[i] == blocks);

    // More than 48 KiB of shared memory must be asked for.
    size_t bytes = 100 * 1024, offset, size;
    dynamic<<<1, 128, bytes>>>(seen, 1);
    IS(cudaGetLastError(), cudaErrorInvalidValue);
    OK(cudaFuncSetAttribute(dynamic, cudaFuncAttributeMaxDynamicSharedMemorySize, int(bytes)));
    char last = 1;
    void *others[] = {&seen, &last};
    OK(cudaLaunchKernel((void *)dynamic, 1, 128, others, bytes, 0));
    OK(cudaMemcpy(host, seen, sizeof host, cudaMemcpyDeviceToHost));
    for (int i = 0; i < 128; i++) HOLDS(host[i] == 127 - i + 1);
    OK(cudaFuncGetParamInfo((void *)dynamic, 1, &offset, &size));
    HOLDS(offset == 8 && size == 1);
    puts("ok");
}
