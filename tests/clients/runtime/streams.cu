// Streams: order between them, host functions and callbacks, priorities, queries.
#include "check.h"
#include <atomic>

__global__ void put(int *p, int value) { *p = value; }
__global__ void twice(int *p) { *p *= 2; }

static std::atomic<bool> let_go{false};
static void hold(void *) {
    while (!let_go.load()) {
    }
}
static int called = 0;
static void callback(cudaStream_t, cudaError_t status, void *data) {
    called = status == cudaSuccess ? *static_cast<int *>(data) : -1;
}

int main() {
    int least, greatest;
    OK(cudaDeviceGetStreamPriorityRange(&least, &greatest));
    HOLDS(greatest <= least);
    cudaStream_t first, second;
    OK(cudaStreamCreateWithPriority(&first, cudaStreamNonBlocking, greatest));
    OK(cudaStreamCreateWithFlags(&second, cudaStreamNonBlocking));
    int priority;
    unsigned flags;
    OK(cudaStreamGetPriority(first, &priority));
    OK(cudaStreamGetFlags(first, &flags));
    HOLDS(priority == greatest && flags == cudaStreamNonBlocking);
    int *p, *host;
    OK(cudaMalloc(&p, sizeof(int)));
    // A copy to pageable memory may wait for its stream.
    OK(cudaMallocHost(&host, sizeof(int)));
    // What is loaded when it is first launched may wait for what runs.
    put<<<1, 1>>>(p, 0);
    twice<<<1, 1>>>(p);
    OK(cudaDeviceSynchronize());
    cudaEvent_t event;
    OK(cudaEventCreateWithFlags(&event, cudaEventDisableTiming));
    OK(cudaLaunchHostFunc(first, hold, nullptr));
    put<<<1, 1, 0, first>>>(p, 21);
    OK(cudaEventRecord(event, first));
    OK(cudaStreamWaitEvent(second, event));
    twice<<<1, 1, 0, second>>>(p);
    OK(cudaMemcpyAsync(host, p, sizeof(int), cudaMemcpyDeviceToHost, second));
    IS(cudaStreamQuery(first), cudaErrorNotReady);
    IS(cudaEventQuery(event), cudaErrorNotReady);
    OK(cudaGetLastError());
    let_go = true;
    OK(cudaStreamSynchronize(second));
    HOLDS(*host == 42);
    OK(cudaStreamQuery(first));
    OK(cudaEventQuery(event));
    int data = 7;
    OK(cudaStreamAddCallback(second, callback, &data, 0));
    OK(cudaDeviceSynchronize());
    HOLDS(called == 7);
    OK(cudaStreamDestroy(first));
    OK(cudaStreamDestroy(second));
    puts("ok");
}
