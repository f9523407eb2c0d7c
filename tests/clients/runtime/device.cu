// What the device says about itself: properties, attributes, limits and occupancy agree with each other.
#include "check.h"
#include <cstring>

__global__ void kernel() {}

static int of(cudaDeviceAttr attribute) {
    int value = -1;
    OK(cudaDeviceGetAttribute(&value, attribute, 0));
    return value;
}

int main() {
    int count = 0, driver = 0, runtime = 0;
    OK(cudaGetDeviceCount(&count));
    OK(cudaDriverGetVersion(&driver));
    OK(cudaRuntimeGetVersion(&runtime));
    HOLDS(count >= 1 && runtime == CUDART_VERSION && driver >= runtime);
    cudaDeviceProp p;
    memset(&p, 0xee, sizeof p);
    OK(cudaGetDeviceProperties(&p, 0));
    HOLDS(p.major == of(cudaDevAttrComputeCapabilityMajor) && p.minor == of(cudaDevAttrComputeCapabilityMinor));
    HOLDS(strlen(p.name) > 0 && strlen(p.name) < sizeof p.name);
    HOLDS(p.warpSize == 32 && p.maxThreadsPerBlock == 1024);
    HOLDS(p.maxThreadsDim[0] == 1024 && p.maxThreadsDim[2] == 64 && p.maxGridSize[1] == 65535);
    HOLDS(p.multiProcessorCount == of(cudaDevAttrMultiProcessorCount) && p.multiProcessorCount > 0);
    HOLDS(int(p.sharedMemPerBlock) == of(cudaDevAttrMaxSharedMemoryPerBlock));
    HOLDS(int(p.sharedMemPerBlockOptin) == of(cudaDevAttrMaxSharedMemoryPerBlockOptin));
    HOLDS(int(p.sharedMemPerMultiprocessor) == of(cudaDevAttrMaxSharedMemoryPerMultiprocessor));
    HOLDS(int(p.reservedSharedMemPerBlock) == of(cudaDevAttrReservedSharedMemoryPerBlock));
    HOLDS(p.sharedMemPerBlockOptin + p.reservedSharedMemPerBlock <= p.sharedMemPerMultiprocessor);
    HOLDS(p.regsPerBlock == of(cudaDevAttrMaxRegistersPerBlock) && p.regsPerBlock <= p.regsPerMultiprocessor);
    HOLDS(p.maxThreadsPerMultiProcessor == of(cudaDevAttrMaxThreadsPerMultiProcessor));
    HOLDS(p.l2CacheSize == of(cudaDevAttrL2CacheSize) && p.memoryBusWidth == of(cudaDevAttrGlobalMemoryBusWidth));
    HOLDS(p.asyncEngineCount == of(cudaDevAttrAsyncEngineCount) && p.unifiedAddressing == 1);
    HOLDS(p.cooperativeLaunch == of(cudaDevAttrCooperativeLaunch) && p.managedMemory == of(cudaDevAttrManagedMemory));
    HOLDS(p.memoryPoolsSupported == of(cudaDevAttrMemoryPoolsSupported));
    HOLDS(p.clusterLaunch == of(cudaDevAttrClusterLaunch) && p.maxSurface2D[1] == of(cudaDevAttrMaxSurface2DHeight));
    HOLDS(p.clusterLaunch == (p.major >= 9));
    HOLDS(p.hostNumaMultinodeIpcSupported == of(cudaDevAttrHostNumaMultinodeIpcSupported));
    size_t available = 0, total = 0, limit = 0;
    OK(cudaMemGetInfo(&available, &total));
    HOLDS(total == p.totalGlobalMem && available <= total);
    char id[32];
    OK(cudaDeviceGetPCIBusId(id, sizeof id, 0));
    char expected[32];
    snprintf(expected, sizeof expected, "%04X:%02X:%02X.0", p.pciDomainID, p.pciBusID, p.pciDeviceID);
    HOLDS(!strcasecmp(id, expected));
    int device = -1;
    OK(cudaDeviceGetByPCIBusId(&device, id));
    HOLDS(device == 0);
    OK(cudaDeviceSetLimit(cudaLimitStackSize, 4096));
    OK(cudaDeviceGetLimit(&limit, cudaLimitStackSize));
    HOLDS(limit >= 4096);
    int blocks = 0;
    size_t shared = 0;
    OK(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, kernel, 1024, 0));
    HOLDS(blocks == p.maxThreadsPerMultiProcessor / 1024);
    OK(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, kernel, 32, 0));
    HOLDS(blocks == p.maxBlocksPerMultiProcessor);
    OK(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, kernel, 128, p.sharedMemPerBlock));
    HOLDS(blocks == int(p.sharedMemPerMultiprocessor / (p.sharedMemPerBlock + p.reservedSharedMemPerBlock)));
    OK(cudaOccupancyAvailableDynamicSMemPerBlock(&shared, kernel, 1, 32));
    HOLDS(shared == p.sharedMemPerBlock);
    IS(cudaGetDeviceProperties(&p, count), cudaErrorInvalidDevice);
    puts("ok");
}
