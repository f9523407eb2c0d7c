// The error state: what is remembered, what is forgotten, and what stays until the device is reset.
#include "check.h"
#include <cstring>
#include <thread>

__global__ void fine(int *p) { *p = 1; }
__global__ void __launch_bounds__(64) small(int *p) { *p = 1; }
__global__ void trap() { __trap(); }

int main() {
    int *p;
    OK(cudaMalloc(&p, sizeof(int)));
    HOLDS(!strcmp(cudaGetErrorName(cudaErrorMemoryAllocation), "cudaErrorMemoryAllocation"));
    HOLDS(!strcmp(cudaGetErrorString(cudaSuccess), "no error"));
    HOLDS(!strcmp(cudaGetErrorString(cudaErrorInvalidConfiguration), "invalid configuration argument"));
    HOLDS(!strcmp(cudaGetErrorString(cudaErrorStreamCaptureUnsupported),
                  "operation not permitted when stream is capturing"));

    // A launch with a shape that none can have.
    fine<<<1, 1025>>>(p);
    IS(cudaPeekAtLastError(), cudaErrorInvalidValue);
    IS(cudaGetLastError(), cudaErrorInvalidValue);
    OK(cudaGetLastError());
    fine<<<0, 1>>>(p);
    IS(cudaGetLastError(), cudaErrorInvalidValue);
    small<<<1, 128>>>(p);
    HOLDS(cudaGetLastError() != cudaSuccess);
    fine<<<1, 1, 1 << 20>>>(p);
    IS(cudaGetLastError(), cudaErrorInvalidValue);

    // A call that succeeds does not clear the error, and each thread has its own.
    IS(cudaMemcpy(p, p, 4, cudaMemcpyKind(9)), cudaErrorInvalidMemcpyDirection);
    OK(cudaDeviceSynchronize());
    std::thread([] { OK(cudaGetLastError()); }).join();
    IS(cudaGetLastError(), cudaErrorInvalidMemcpyDirection);

    IS(cudaSetDevice(99), cudaErrorInvalidDevice);
    int device = -1;
    OK(cudaGetDevice(&device));
    HOLDS(device == 0);
    // Of a handle of nothing NVIDIA's driver makes a crash.
    if (software()) IS(cudaStreamSynchronize((cudaStream_t)0x1234), cudaErrorInvalidResourceHandle);
    IS(cudaFree((void *)0x1234), cudaErrorInvalidValue);
    IS(cudaMalloc(&p, size_t(1) << 60), cudaErrorMemoryAllocation);
    // What is no kernel's address is taken for a handle.
    IS(cudaLaunchKernel((void *)main, 1, 1, nullptr, 0, 0), cudaErrorInvalidResourceHandle);
    cudaFuncAttributes attributes;
    HOLDS(cudaFuncGetAttributes(&attributes, (void *)main) != cudaSuccess);
    cudaMipmappedArray_t levels;
    cudaChannelFormatDesc format = cudaCreateChannelDesc<float>();
    if (software()) IS(cudaMallocMipmappedArray(&levels, &format, make_cudaExtent(4, 4, 0), 2, 0), cudaErrorNotSupported);
    cudaGetLastError();

    // A kernel that fails: every later call answers so, until the device is reset.
    trap<<<1, 1>>>();
    OK(cudaGetLastError());
    cudaError_t sticky = cudaDeviceSynchronize();
    HOLDS(sticky == cudaErrorLaunchFailure || sticky == cudaErrorIllegalInstruction);
    IS(cudaMalloc(&p, 4), sticky);
    IS(cudaGetLastError(), sticky);
    IS(cudaDeviceSynchronize(), sticky);
    OK(cudaDeviceReset());
    // The last error is the thread's, not the device's.
    IS(cudaGetLastError(), sticky);
    // CUDA promises no device to a process after such an error, and NVIDIA's driver gives it none: ours goes on.
    if (!software()) return puts("ok"), 0;
    OK(cudaGetLastError());
    OK(cudaMalloc(&p, sizeof(int)));
    fine<<<1, 1>>>(p);
    int value = 0;
    OK(cudaMemcpy(&value, p, sizeof value, cudaMemcpyDeviceToHost));
    HOLDS(value == 1);
    puts("ok");
}
