// The images in this folder, made by CUDA 13.0's nvcc:
//
//     T="-gencode arch=compute_75,code=compute_75 -gencode arch=compute_80,code=[compute_80,sm_80]
//        -gencode arch=compute_90,code=compute_90"
//     nvcc -fatbin $T --compress-mode=none outside.cu -o plain.fatbin   (speed: lz4.fatbin, size: zstd.fatbin)
//     nvcc -fatbin -gencode arch=compute_90a,code=[compute_90a,sm_90a] outside.cu -o newer.fatbin
//     nvcc -cubin -arch=sm_80 outside.cu -o sm_80.cubin     (and sm_90.cubin)
struct Block {
    double d;
    char c[9];
};

__constant__ int factor = 2;
__device__ int counter;
__managed__ int shared_with_host = 7;

// Which of the targets was chosen.
extern "C" __global__ void target(int *out) { *out = __CUDA_ARCH__ / 10; }

extern "C" __global__ void __launch_bounds__(256) many(short s, const float *a, Block b, char c, float *out, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) {
        out[i] = a[i] * factor + float(b.d) + b.c[8] + c + s;
        atomicAdd(&counter, 1);
        atomicAdd(&shared_with_host, 1);
    }
}
