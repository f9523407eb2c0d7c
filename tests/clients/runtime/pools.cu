// Memory ordered on streams: pools, their attributes, and allocations of a captured graph.
#include "check.h"

__global__ void fill(int *p, int value, int n) {
    for (int i = threadIdx.x; i < n; i += blockDim.x) p[i] = value;
}
__global__ void sum(const int *p, int *out, int n) {
    int s = 0;
    for (int i = 0; i < n; i++) s += p[i];
    *out = s;
}

int main() {
    cudaStream_t stream;
    OK(cudaStreamCreate(&stream));
    int supported = 0;
    OK(cudaDeviceGetAttribute(&supported, cudaDevAttrMemoryPoolsSupported, 0));
    HOLDS(supported);
    cudaMemPool_t pool, current;
    OK(cudaDeviceGetDefaultMemPool(&pool, 0));
    OK(cudaDeviceGetMemPool(&current, 0));
    HOLDS(pool == current);
    unsigned long long threshold = 1 << 20, used = 0;
    OK(cudaMemPoolSetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &threshold));
    int *p, *out, host = 0;
    OK(cudaMallocAsync(&p, 1000, stream));
    OK(cudaMemPoolGetAttribute(pool, cudaMemPoolAttrUsedMemCurrent, &used));
    HOLDS(used >= 1000);
    OK(cudaFreeAsync(p, stream));
    OK(cudaStreamSynchronize(stream));
    OK(cudaMemPoolTrimTo(pool, 0));

    cudaMemPoolProps props{};
    props.allocType = cudaMemAllocationTypePinned;
    props.location.type = cudaMemLocationTypeDevice;
    cudaMemPool_t own;
    OK(cudaMemPoolCreate(&own, &props));
    OK(cudaMallocFromPoolAsync(&p, 64, own, stream));
    OK(cudaFreeAsync(p, stream));
    OK(cudaMemPoolDestroy(own));

    // The graph allocates, uses and frees at every launch.
    OK(cudaMalloc(&out, sizeof(int)));
    cudaGraph_t graph;
    OK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal));
    OK(cudaMallocAsync(&p, 100 * sizeof(int), stream));
    fill<<<1, 32, 0, stream>>>(p, 3, 100);
    sum<<<1, 1, 0, stream>>>(p, out, 100);
    OK(cudaFreeAsync(p, stream));
    OK(cudaStreamEndCapture(stream, &graph));
    cudaGraphExec_t exec;
    OK(cudaGraphInstantiate(&exec, graph, 0));
    for (int step = 0; step < 3; step++) {
        OK(cudaMemsetAsync(out, 0, sizeof(int), stream));
        OK(cudaGraphLaunch(exec, stream));
        OK(cudaMemcpyAsync(&host, out, sizeof host, cudaMemcpyDeviceToHost, stream));
        OK(cudaStreamSynchronize(stream));
        HOLDS(host == 300);
    }
    OK(cudaGraphExecDestroy(exec));
    OK(cudaGraphDestroy(graph));

    // Managed and pinned memory.
    int *managed, *pinned;
    OK(cudaMallocManaged(&managed, 4));
    OK(cudaHostAlloc(&pinned, 4, cudaHostAllocMapped));
    fill<<<1, 1>>>(managed, 11, 1);
    fill<<<1, 1>>>(pinned, 12, 1);
    OK(cudaDeviceSynchronize());
    HOLDS(*managed == 11 && *pinned == 12);
    cudaPointerAttributes about;
    OK(cudaPointerGetAttributes(&about, managed));
    HOLDS(about.type == cudaMemoryTypeManaged && about.devicePointer == managed);
    OK(cudaPointerGetAttributes(&about, pinned));
    HOLDS(about.type == cudaMemoryTypeHost && about.hostPointer == pinned);
    OK(cudaPointerGetAttributes(&about, out));
    HOLDS(about.type == cudaMemoryTypeDevice && about.device == 0 && about.hostPointer == nullptr);
    OK(cudaPointerGetAttributes(&about, &host));
    HOLDS(about.type == cudaMemoryTypeUnregistered);
    OK(cudaFree(managed));
    OK(cudaFreeHost(pinned));
    puts("ok");
}
