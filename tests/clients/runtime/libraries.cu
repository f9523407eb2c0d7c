// Code that is loaded while the program runs, and the driver's functions by name.
#include "check.h"
#include <cuda.h>

__global__ void own(int *p) { *p = 5; }

static const char TEXT[] = ".version 7.0\n.target sm_70\n.address_size 64\n"
                           ".visible .global .align 4 .u32 place = 3;\n"
                           ".visible .entry put(.param .u64 p) {\n"
                           " .reg .u64 %a; .reg .u32 %v;\n"
                           " ld.param.u64 %a, [p];\n ld.global.u32 %v, [place];\n st.global.u32 [%a], %v;\n ret;\n}\n";

int main() {
    int *p, value = 0;
    OK(cudaMalloc(&p, sizeof(int)));
    cudaLibrary_t library;
    OK(cudaLibraryLoadData(&library, TEXT, nullptr, nullptr, 0, nullptr, nullptr, 0));
    unsigned count = 0;
    OK(cudaLibraryGetKernelCount(&count, library));
    HOLDS(count == 1);
    cudaKernel_t kernel, mine;
    OK(cudaLibraryGetKernel(&kernel, library, "put"));
    void *arguments[] = {&p};
    OK(cudaLaunchKernel((void *)kernel, 1, 1, arguments, 0, 0));
    OK(cudaMemcpy(&value, p, sizeof value, cudaMemcpyDeviceToHost));
    HOLDS(value == 3);
    void *global;
    size_t size;
    OK(cudaLibraryGetGlobal(&global, &size, library, "place"));
    HOLDS(size == 4);
    OK(cudaGetKernel(&mine, (void *)own));
    OK(cudaLaunchKernel((void *)mine, 1, 1, arguments, 0, 0));
    OK(cudaMemcpy(&value, p, sizeof value, cudaMemcpyDeviceToHost));
    HOLDS(value == 5);

    // The driver API beside the runtime, in the same context.
    void *found = nullptr;
    cudaDriverEntryPointQueryResult status;
    OK(cudaGetDriverEntryPointByVersion("cuLaunchKernel", &found, 12000, cudaEnableDefault, &status));
    HOLDS(found && status == cudaDriverEntryPointSuccess);
    cudaFunction_t function;
    OK(cudaGetFuncBySymbol(&function, (void *)own));
    OK(cudaMemset(p, 0, sizeof(int)));
    auto launch = reinterpret_cast<CUresult (*)(CUfunction, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned,
                                                unsigned, CUstream, void **, void **)>(found);
    HOLDS(launch((CUfunction)function, 1, 1, 1, 1, 1, 1, 0, nullptr, arguments, nullptr) == CUDA_SUCCESS);
    OK(cudaMemcpy(&value, p, sizeof value, cudaMemcpyDeviceToHost));
    HOLDS(value == 5);
    OK(cudaGetDriverEntryPointByVersion("cuNoSuchThing", &found, 12000, cudaEnableDefault, &status));
    HOLDS(status == cudaDriverEntryPointSymbolNotFound);
    OK(cudaLibraryUnload(library));

    // What is no code is told when it is loaded, or (a GPU loads lazily) when something of it is asked for.
    cudaError_t loaded = cudaLibraryLoadData(&library, "nonsense", nullptr, nullptr, 0, nullptr, nullptr, 0);
    HOLDS(loaded == cudaErrorInvalidKernelImage || cudaLibraryGetKernel(&kernel, library, "put") != cudaSuccess);
    puts("ok");
}
