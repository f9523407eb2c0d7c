// A graph built node by node: every kind that has a model, edges read back, a clone, a child, memory nodes.
#include "check.h"
#include <vector>

__global__ void increment(int *p, int by) { atomicAdd(p, by); }

__device__ int total;

static int told = 0;
static void tell(void *data) { told += *static_cast<int *>(data); }

int main() {
    cudaGraph_t graph, child;
    OK(cudaGraphCreate(&graph, 0));
    OK(cudaGraphCreate(&child, 0));
    int *p, by = 4, host = 0, step = 10;
    OK(cudaMalloc(&p, 2 * sizeof(int)));

    cudaMemsetParams set{};
    set.dst = p;
    set.elementSize = 4;
    set.value = 100;
    set.width = 2;
    set.height = 1;
    cudaGraphNode_t memset, kernel, copy, call, empty, sub, inner, alloc, release, symbol;
    OK(cudaGraphAddMemsetNode(&memset, graph, nullptr, 0, &set));
    void *arguments[] = {&p, &by};
    cudaKernelNodeParams launch{};
    launch.func = (void *)increment;
    launch.gridDim = 2;
    launch.blockDim = 32;
    launch.kernelParams = arguments;
    OK(cudaGraphAddKernelNode(&kernel, graph, &memset, 1, &launch));
    OK(cudaGraphAddKernelNode(&inner, child, nullptr, 0, &launch));
    OK(cudaGraphAddChildGraphNode(&sub, graph, &kernel, 1, child));
    OK(cudaGraphAddMemcpyNode1D(&copy, graph, &sub, 1, &host, p, sizeof(int), cudaMemcpyDeviceToHost));
    OK(cudaGraphAddMemcpyNodeToSymbol(&symbol, graph, &sub, 1, total, p, sizeof(int), 0, cudaMemcpyDeviceToDevice));
    cudaHostNodeParams function{tell, &step};
    OK(cudaGraphAddHostNode(&call, graph, &copy, 1, &function));
    OK(cudaGraphAddEmptyNode(&empty, graph, &call, 1));

    // Memory that lives inside the graph.
    cudaMemAllocNodeParams memory{};
    memory.poolProps.allocType = cudaMemAllocationTypePinned;
    memory.poolProps.location.type = cudaMemLocationTypeDevice;
    memory.bytesize = 64;
    OK(cudaGraphAddMemAllocNode(&alloc, graph, &empty, 1, &memory));
    HOLDS(memory.dptr);
    set.dst = memory.dptr;
    cudaGraphNode_t fill;
    OK(cudaGraphAddMemsetNode(&fill, graph, &alloc, 1, &set));
    OK(cudaGraphAddMemFreeNode(&release, graph, &fill, 1, memory.dptr));

    // The same by the one call for all kinds.
    cudaGraphNodeParams any{};
    any.type = cudaGraphNodeTypeKernel;
    any.kernel.func = (void *)increment;
    any.kernel.gridDim.x = any.kernel.gridDim.y = any.kernel.gridDim.z = 1;
    any.kernel.blockDim = any.kernel.gridDim;
    int one = 1;
    void *others[] = {&p, &one};
    any.kernel.kernelParams = others;
    cudaGraphNode_t more, line;
    OK(cudaGraphAddNode(&more, graph, &release, nullptr, 1, &any));
    any = {};
    any.type = cudaGraphNodeTypeMemcpy;
    any.memcpy.copyParams.srcPtr = make_cudaPitchedPtr(p, 4, 4, 1);
    any.memcpy.copyParams.dstPtr = make_cudaPitchedPtr(p + 1, 4, 4, 1);
    any.memcpy.copyParams.extent = make_cudaExtent(4, 1, 1);
    any.memcpy.copyParams.kind = cudaMemcpyDeviceToDevice;
    OK(cudaGraphAddNode(&line, graph, &more, nullptr, 1, &any));

    size_t nodes = 0, edges = 0;
    OK(cudaGraphGetNodes(graph, nullptr, &nodes));
    OK(cudaGraphGetEdges(graph, nullptr, nullptr, nullptr, &edges));
    HOLDS(nodes == 12 && edges == 11);
    size_t roots = 1;
    cudaGraphNode_t root;
    OK(cudaGraphGetRootNodes(graph, &root, &roots));
    HOLDS(root == memset && roots == 1);
    cudaMemcpy3DParms read{};
    OK(cudaGraphMemcpyNodeGetParams(line, &read));
    HOLDS(read.srcPtr.ptr == p && read.dstPtr.ptr == p + 1 && read.extent.width == 4);
    HOLDS(read.kind == cudaMemcpyDeviceToDevice);
    cudaGraph_t embedded;
    OK(cudaGraphChildGraphNodeGetGraph(sub, &embedded));
    HOLDS(embedded);
    OK(cudaGraphDebugDotPrint(graph, "/dev/null", 0));

    cudaGraphExec_t exec;
    OK(cudaGraphInstantiate(&exec, graph, 0));
    cudaStream_t stream;
    OK(cudaStreamCreate(&stream));
    for (int step = 0; step < 3; step++) {
        OK(cudaGraphLaunch(exec, stream));
        OK(cudaStreamSynchronize(stream));
        // 2 blocks of 32 threads, twice, and one more behind the copies.
        HOLDS(host == 100 + 2 * 64 * 4);
        int result[2], copied;
        OK(cudaMemcpy(result, p, sizeof result, cudaMemcpyDeviceToHost));
        OK(cudaMemcpyFromSymbol(&copied, total, sizeof copied));
        HOLDS(result[0] == host + 1 && result[1] == host + 1 && copied == host);
    }
    HOLDS(told == 30);
    OK(cudaGraphNodeSetEnabled(exec, more, 0));
    OK(cudaGraphExecMemcpyNodeSetParams1D(exec, copy, &told, p, sizeof(int), cudaMemcpyDeviceToHost));
    OK(cudaGraphLaunch(exec, stream));
    OK(cudaStreamSynchronize(stream));
    HOLDS(told == host + 10);
    OK(cudaGraphExecDestroy(exec));
    OK(cudaGraphDestroy(graph));
    OK(cudaGraphDestroy(child));
    puts("ok");
}
