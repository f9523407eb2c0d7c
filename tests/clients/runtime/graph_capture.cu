// A CUDA graph from two captured streams: replayed with changing inputs, changed in place by setting a
// node's parameters, and updated from a second capture.
#include "check.h"
#include <cstring>
#include <vector>

__global__ void axpy(float a, const float *x, float *y, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] += a * x[i];
}

__global__ void square(const float *x, float *y, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] = x[i] * x[i];
}

const int N = 300;

// y = x * x, then y += a * x and z = 0 on a side stream, joined.
cudaGraph_t capture(cudaStream_t main, cudaStream_t side, float a, float *x, float *y, float *z) {
    cudaEvent_t fork, join;
    OK(cudaEventCreateWithFlags(&fork, cudaEventDisableTiming));
    OK(cudaEventCreateWithFlags(&join, cudaEventDisableTiming));
    cudaGraph_t graph;
    OK(cudaStreamBeginCapture(main, cudaStreamCaptureModeGlobal));
    square<<<3, 128, 0, main>>>(x, y, N);
    OK(cudaEventRecord(fork, main));
    OK(cudaStreamWaitEvent(side, fork));
    OK(cudaMemsetAsync(z, 0, N * sizeof(float), side));
    OK(cudaEventRecord(join, side));
    axpy<<<3, 128, 0, main>>>(a, x, y, N);
    OK(cudaStreamWaitEvent(main, join));
    cudaStreamCaptureStatus status;
    OK(cudaStreamIsCapturing(side, &status));
    HOLDS(status == cudaStreamCaptureStatusActive);
    OK(cudaStreamEndCapture(main, &graph));
    OK(cudaEventDestroy(fork));
    OK(cudaEventDestroy(join));
    return graph;
}

int main() {
    cudaStream_t main, side;
    OK(cudaStreamCreate(&main));
    OK(cudaStreamCreateWithFlags(&side, cudaStreamNonBlocking));
    float *x, *y, *z;
    OK(cudaMalloc(&x, N * sizeof(float)));
    OK(cudaMalloc(&y, N * sizeof(float)));
    OK(cudaMalloc(&z, N * sizeof(float)));
    cudaGraph_t graph = capture(main, side, 3, x, y, z);
    size_t count = 0;
    OK(cudaGraphGetNodes(graph, nullptr, &count));
    HOLDS(count == 3);
    std::vector<cudaGraphNode_t> nodes(count);
    OK(cudaGraphGetNodes(graph, nodes.data(), &count));
    cudaGraphNode_t last{};
    for (auto node : nodes) {
        cudaGraphNodeType type;
        OK(cudaGraphNodeGetType(node, &type));
        if (type != cudaGraphNodeTypeKernel) continue;
        cudaKernelNodeParams params;
        OK(cudaGraphKernelNodeGetParams(node, &params));
        HOLDS(params.gridDim.x == 3 && params.blockDim.x == 128);
        if (params.func == (void *)axpy) last = node;
    }
    HOLDS(last);
    cudaGraphExec_t exec;
    OK(cudaGraphInstantiate(&exec, graph, 0));
    std::vector<float> in(N), out(N), zero(N);
    auto run = [&](float a, float seed) {
        for (int i = 0; i < N; i++) in[i] = seed + i;
        OK(cudaMemcpyAsync(x, in.data(), N * sizeof(float), cudaMemcpyHostToDevice, main));
        OK(cudaMemsetAsync(z, 0xff, N * sizeof(float), main));
        OK(cudaGraphLaunch(exec, main));
        OK(cudaMemcpyAsync(out.data(), y, N * sizeof(float), cudaMemcpyDeviceToHost, main));
        OK(cudaMemcpyAsync(zero.data(), z, N * sizeof(float), cudaMemcpyDeviceToHost, main));
        OK(cudaStreamSynchronize(main));
        for (int i = 0; i < N; i++) HOLDS(out[i] == in[i] * in[i] + a * in[i] && zero[i] == 0);
    };
    for (int step = 0; step < 5; step++) run(3, step);

    // Another factor by the node's parameters.
    float a = 5;
    int n = N;
    void *arguments[] = {&a, &x, &y, &n};
    cudaKernelNodeParams params{};
    params.func = (void *)axpy;
    params.gridDim = 3;
    params.blockDim = 128;
    params.kernelParams = arguments;
    OK(cudaGraphExecKernelNodeSetParams(exec, last, &params));
    run(5, 10);

    // And by a second capture.
    cudaGraph_t second = capture(main, side, 7, x, y, z);
    cudaGraphExecUpdateResultInfo info;
    OK(cudaGraphExecUpdate(exec, second, &info));
    HOLDS(info.result == cudaGraphExecUpdateSuccess);
    run(7, 20);

    // What a capture forbids ends it, with the reason.
    OK(cudaStreamBeginCapture(main, cudaStreamCaptureModeGlobal));
    IS(cudaStreamSynchronize(main), cudaErrorStreamCaptureUnsupported);
    IS(cudaGetLastError(), cudaErrorStreamCaptureUnsupported);
    cudaGraph_t none;
    IS(cudaStreamEndCapture(main, &none), cudaErrorStreamCaptureInvalidated);
    IS(cudaGetLastError(), cudaErrorStreamCaptureInvalidated);
    run(7, 30);
    OK(cudaGraphExecDestroy(exec));
    OK(cudaGraphDestroy(second));
    OK(cudaGraphDestroy(graph));
    puts("ok");
}
