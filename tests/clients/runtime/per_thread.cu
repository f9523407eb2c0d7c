// Compiled with --default-stream per-thread: each thread's null stream is its own.
#include "check.h"
#include <atomic>
#include <thread>

__global__ void put(int *p, int value) { *p = value; }

static std::atomic<bool> let_go{false};
static void hold(void *) {
    while (!let_go.load()) {
    }
}

int main() {
    int *p;
    OK(cudaMalloc(&p, 2 * sizeof(int)));
    // What is loaded when it is first launched may wait for what runs.
    put<<<1, 1>>>(p, 0);
    OK(cudaDeviceSynchronize());
    OK(cudaLaunchHostFunc(0, hold, nullptr));
    put<<<1, 1>>>(p, 1);
    IS(cudaStreamQuery(0), cudaErrorNotReady);
    std::thread other([&] {
        // Nothing here waits for the first thread's stream.
        put<<<1, 1>>>(p + 1, 2);
        int value = 0;
        OK(cudaMemcpy(&value, p + 1, sizeof value, cudaMemcpyDeviceToHost));
        HOLDS(value == 2);
        OK(cudaStreamSynchronize(0));
        OK(cudaStreamQuery(cudaStreamPerThread));
    });
    other.join();
    IS(cudaStreamQuery(0), cudaErrorNotReady);
    let_go = true;
    OK(cudaStreamSynchronize(0));
    int values[2];
    OK(cudaMemcpy(values, p, sizeof values, cudaMemcpyDeviceToHost));
    HOLDS(values[0] == 1 && values[1] == 2);

    // A capture of it.
    cudaGraph_t graph;
    cudaStream_t stream = cudaStreamPerThread;
    OK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
    put<<<1, 1>>>(p, 3);
    OK(cudaStreamEndCapture(stream, &graph));
    size_t count = 0;
    OK(cudaGraphGetNodes(graph, nullptr, &count));
    HOLDS(count == 1);
    OK(cudaGraphDestroy(graph));
    puts("ok");
}
