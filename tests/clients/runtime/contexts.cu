// Contexts of the driver API under the runtime: one of the program's own, none, and one that another thread destroys.
#include "check.h"
#include <cuda.h>
#include <thread>

__global__ void fill(int *p) { *p = 7; }

// A kernel of the program in whatever context is current.
static int filled() {
    int *p, value = 0;
    OK(cudaMalloc(&p, sizeof(int)));
    fill<<<1, 1>>>(p);
    OK(cudaGetLastError());
    OK(cudaMemcpy(&value, p, sizeof value, cudaMemcpyDeviceToHost));
    OK(cudaFree(p));
    return value;
}

int main() {
    HOLDS(filled() == 7);
    CUcontext primary, own, current;
    HOLDS(!cuCtxGetCurrent(&primary) && primary);

    // The runtime works in the context that is current, whoever made it.
    HOLDS(!cuCtxCreate(&own, nullptr, 0, 0));
    HOLDS(filled() == 7);
    HOLDS(!cuCtxGetCurrent(&current) && current == own);

    // With none it makes the primary one current again.
    HOLDS(!cuCtxPopCurrent(&current) && current == own);
    HOLDS(!cuCtxSetCurrent(nullptr));
    HOLDS(filled() == 7);
    HOLDS(!cuCtxGetCurrent(&current) && current == primary);

    // Destroyed by another thread while it is current here: an error, until another is made current.
    HOLDS(!cuCtxSetCurrent(own));
    HOLDS(filled() == 7);
    std::thread([own] { HOLDS(!cuCtxDestroy(own)); }).join();
    int *p;
    IS(cudaMalloc(&p, sizeof(int)), cudaErrorDeviceUninitialized);
    IS(cudaDeviceSynchronize(), cudaErrorDeviceUninitialized);
    IS(cudaGetLastError(), cudaErrorDeviceUninitialized);
    HOLDS(!cuCtxSetCurrent(primary));
    HOLDS(filled() == 7);
    puts("ok");
}
