// Kernels as people write them by hand, for NVRTC: no header but CUDA's own.
#include <cuda_bf16.h>
#include <cuda_fp16.h>

extern "C" __global__ void saxpy(const float* x, float* y, float a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] = fmaf(a, x[i], y[i]);
}

extern "C" __global__ void reduce_sum(const float* x, float* out, int n) {
    __shared__ float partial[32];
    float sum = 0.f;
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) sum += x[i];
    for (int by = 16; by; by /= 2) sum += __shfl_down_sync(~0u, sum, by);
    if (threadIdx.x % 32 == 0) partial[threadIdx.x / 32] = sum;
    __syncthreads();
    if (threadIdx.x < 32) {
        sum = threadIdx.x < blockDim.x / 32 ? partial[threadIdx.x] : 0.f;
        for (int by = 16; by; by /= 2) sum += __shfl_down_sync(~0u, sum, by);
        if (threadIdx.x == 0) atomicAdd(out, sum);
    }
}

extern "C" __global__ void transpose(const float* in, float* out, int rows, int columns) {
    __shared__ float tile[32][33];
    int x = blockIdx.x * 32 + threadIdx.x, y = blockIdx.y * 32 + threadIdx.y;
    for (int j = 0; j < 32; j += 8)
        if (x < columns && y + j < rows) tile[threadIdx.y + j][threadIdx.x] = in[(y + j) * columns + x];
    __syncthreads();
    x = blockIdx.y * 32 + threadIdx.x, y = blockIdx.x * 32 + threadIdx.y;
    for (int j = 0; j < 32; j += 8)
        if (x < rows && y + j < columns) out[(y + j) * rows + x] = tile[threadIdx.x][threadIdx.y + j];
}

extern "C" __global__ void gemm(const float* a, const float* b, float* c, int m, int n, int k) {
    __shared__ float at[16][16], bt[16][17];
    int row = blockIdx.y * 16 + threadIdx.y, column = blockIdx.x * 16 + threadIdx.x;
    float sum = 0.f;
    for (int t = 0; t < k; t += 16) {
        at[threadIdx.y][threadIdx.x] = row < m && t + threadIdx.x < k ? a[row * k + t + threadIdx.x] : 0.f;
        bt[threadIdx.y][threadIdx.x] = column < n && t + threadIdx.y < k ? b[(t + threadIdx.y) * n + column] : 0.f;
        __syncthreads();
        for (int i = 0; i < 16; i++) sum += at[threadIdx.y][i] * bt[i][threadIdx.x];
        __syncthreads();
    }
    if (row < m && column < n) c[row * n + column] = sum;
}

extern "C" __global__ void softmax(const float* in, float* out, int columns) {
    extern __shared__ float row[];
    const float* x = in + blockIdx.x * columns;
    float most = -1e30f, sum = 0.f;
    for (int i = threadIdx.x; i < columns; i += 32) most = fmaxf(most, row[i] = x[i]);
    for (int by = 16; by; by /= 2) most = fmaxf(most, __shfl_xor_sync(~0u, most, by));
    for (int i = threadIdx.x; i < columns; i += 32) sum += row[i] = expf(row[i] - most);
    for (int by = 16; by; by /= 2) sum += __shfl_xor_sync(~0u, sum, by);
    for (int i = threadIdx.x; i < columns; i += 32) out[blockIdx.x * columns + i] = row[i] / sum;
}

extern "C" __global__ void histogram(const unsigned char* data, unsigned* bins, int n) {
    __shared__ unsigned own[256];
    for (int i = threadIdx.x; i < 256; i += blockDim.x) own[i] = 0;
    __syncthreads();
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) atomicAdd(&own[data[i]], 1u);
    __syncthreads();
    for (int i = threadIdx.x; i < 256; i += blockDim.x) atomicAdd(&bins[i], own[i]);
}

// One block of half as many threads as there are values, a power of two.
extern "C" __global__ void exclusive_scan(const unsigned* in, unsigned* out, int n) {
    extern __shared__ unsigned t[];
    int i = threadIdx.x, step = 1;
    t[2 * i] = in[2 * i], t[2 * i + 1] = in[2 * i + 1];
    for (int d = n / 2; d; d /= 2, step *= 2) {
        __syncthreads();
        if (i < d) t[step * (2 * i + 2) - 1] += t[step * (2 * i + 1) - 1];
    }
    if (i == 0) t[n - 1] = 0;
    for (int d = 1; d < n; d *= 2) {
        step /= 2;
        __syncthreads();
        if (i < d) {
            unsigned left = t[step * (2 * i + 1) - 1];
            t[step * (2 * i + 1) - 1] = t[step * (2 * i + 2) - 1];
            t[step * (2 * i + 2) - 1] += left;
        }
    }
    __syncthreads();
    out[2 * i] = t[2 * i], out[2 * i + 1] = t[2 * i + 1];
}

extern "C" __global__ void bitonic_sort(unsigned long long* data, int n) {
    int i = threadIdx.x;
    for (int k = 2; k <= n; k *= 2)
        for (int j = k / 2; j; j /= 2) {
            __syncthreads();
            int other = i ^ j;
            if (other > i && (data[i] > data[other]) == ((i & k) == 0)) {
                unsigned long long kept = data[i];
                data[i] = data[other], data[other] = kept;
            }
        }
}

// A warp a row.
extern "C" __global__ void spmv(const int* begin, const int* column, const double* value, const double* x, double* y, int rows) {
    int row = (blockIdx.x * blockDim.x + threadIdx.x) / 32, lane = threadIdx.x % 32;
    if (row >= rows) return;
    double sum = 0;
    for (int i = begin[row] + lane; i < begin[row + 1]; i += 32) sum += value[i] * x[column[i]];
    for (int by = 16; by; by /= 2) sum += __shfl_down_sync(~0u, sum, by);
    if (lane == 0) y[row] = sum;
}

extern "C" __global__ void mandelbrot(int* count, int width, int height, int limit) {
    int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x >= width || y >= height) return;
    double cr = 3.0 * x / width - 2.25, ci = 2.5 * y / height - 1.25, r = 0, i = 0;
    int n = 0;
    for (; n < limit && r * r + i * i < 4; n++) {
        double next = __dadd_rn(__dsub_rn(__dmul_rn(r, r), __dmul_rn(i, i)), cr);
        i = __dadd_rn(__dmul_rn(__dmul_rn(2.0, r), i), ci), r = next;
    }
    count[y * width + x] = n;
}

extern "C" __global__ void half_axpy(const __half2* x, __half2* y, float a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] = __hfma2(__float2half2_rn(a), x[i], y[i]);
}

extern "C" __global__ void bf16_gelu(const __nv_bfloat16* x, float* y, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    float v = __bfloat162float(x[i]);
    y[i] = 0.5f * v * (1.f + erff(v * 0.70710678f));
}

extern "C" __global__ void int8_dot(const int* a, const int* b, int* out, int words) {
    int sum = 0;
    for (int i = threadIdx.x; i < words; i += 32) sum = __dp4a(a[blockIdx.x * words + i], b[i], sum);
    sum = __reduce_add_sync(~0u, sum);
    if (threadIdx.x == 0) out[blockIdx.x] = sum;
}

__constant__ float taps[5] = {0.0625f, 0.25f, 0.375f, 0.25f, 0.0625f};
extern "C" __global__ void convolve(const float* in, float* out, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    float sum = 0.f;
#pragma unroll
    for (int k = -2; k <= 2; k++) sum += taps[k + 2] * in[min(max(i + k, 0), n - 1)];
    out[i] = sum;
}

extern "C" __global__ void life(const unsigned char* in, unsigned char* out, int width, int height) {
    int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    int alive = 0;
    for (int dy = -1; dy <= 1; dy++)
        for (int dx = -1; dx <= 1; dx++)
            if (dx || dy) alive += in[(y + dy + height) % height * width + (x + dx + width) % width];
    out[y * width + x] = alive == 3 || (alive == 2 && in[y * width + x]);
}

extern "C" __global__ void collatz(const unsigned long long* start, unsigned* steps, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    unsigned count = 0;
    for (unsigned long long v = start[i]; v != 1; count++) v = v % 2 ? 3 * v + 1 : v / 2;
    steps[i] = count;
}

// Lanes with one key count themselves together.
extern "C" __global__ void matched_counts(const int* key, int* count, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    unsigned active = __ballot_sync(~0u, i < n);
    if (i >= n) return;
    unsigned same = __match_any_sync(active, key[i]);
    if (threadIdx.x % 32 == __ffs(same) - 1) atomicAdd(&count[key[i]], __popc(same));
}

typedef unsigned (*Mix)(unsigned);
__device__ __noinline__ unsigned rotated(unsigned v) { return v << 7 | v >> 25; }
__device__ __noinline__ unsigned multiplied(unsigned v) { return v * 2654435761u; }
__device__ __noinline__ unsigned folded(unsigned v) { return v ^ v >> 16; }
__device__ Mix mixes[3] = {rotated, multiplied, folded};
// Lanes of a warp call different functions.
extern "C" __global__ void function_pointers(unsigned* data) {
    unsigned v = data[threadIdx.x];
    for (int i = 0; i < 4; i++) v = mixes[(threadIdx.x + i) % 3](v);
    data[threadIdx.x] = v;
}

struct Shape {
    __device__ virtual float area() const = 0;
};
struct Square : Shape {
    float side;
    __device__ Square(float side) : side(side) {}
    __device__ float area() const override { return side * side; }
};
struct Circle : Shape {
    float radius;
    __device__ Circle(float radius) : radius(radius) {}
    __device__ float area() const override { return 3.1415927f * radius * radius; }
};
extern "C" __global__ void virtual_calls(float* out) {
    Square square(threadIdx.x);
    Circle circle(threadIdx.x);
    const Shape* shape = threadIdx.x % 3 ? static_cast<const Shape*>(&square) : &circle;
    out[threadIdx.x] = shape->area();
}

extern "C" __global__ void nbody(const float4* body, float3* force, int n) {
    __shared__ float4 tile[64];
    float4 own = body[blockIdx.x * 64 + threadIdx.x];
    float3 sum = make_float3(0.f, 0.f, 0.f);
    for (int t = 0; t < n; t += 64) {
        tile[threadIdx.x] = body[t + threadIdx.x];
        __syncthreads();
        for (int i = 0; i < 64; i++) {
            float dx = tile[i].x - own.x, dy = tile[i].y - own.y, dz = tile[i].z - own.z;
            float inverse = rsqrtf(dx * dx + dy * dy + dz * dz + 0.01f);
            float by = tile[i].w * inverse * inverse * inverse;
            sum.x += dx * by, sum.y += dy * by, sum.z += dz * by;
        }
        __syncthreads();
    }
    force[blockIdx.x * 64 + threadIdx.x] = sum;
}

__device__ __noinline__ void quicksort(int* keys, int low, int high) {
    if (low >= high) return;
    int pivot = keys[high], place = low;
    for (int i = low; i < high; i++) {
        if (keys[i] < pivot) {
            int key = keys[i];
            keys[i] = keys[place];
            keys[place++] = key;
        }
    }
    keys[high] = keys[place];
    keys[place] = pivot;
    quicksort(keys, low, place - 1);
    quicksort(keys, place + 1, high);
}
// Each thread sorts keys of its own, in local memory, as deep as they make it.
extern "C" __global__ void own_sorts(int* data, int n) {
    int keys[24];
    for (int i = 0; i < n; i++) keys[i] = data[(blockIdx.x * blockDim.x + threadIdx.x) * n + i];
    quicksort(keys, 0, n - 1);
    for (int i = 0; i < n; i++) data[(blockIdx.x * blockDim.x + threadIdx.x) * n + i] = keys[i];
}

struct Term {
    __device__ virtual int value(int depth) const = 0;
};
struct Leaf : Term {
    int own;
    __device__ int value(int depth) const override { return own + depth; }
};
struct Sum : Term {
    const Term *left, *right;
    __device__ int value(int depth) const override { return 3 * left->value(depth + 1) - right->value(depth + 1); }
};
// A tree that calls itself by its nodes' own functions: leaf i of thread t is t + i, and one side is `deep` sums deep.
extern "C" __global__ void term_values(int* out, int deep) {
    Leaf leaves[9];
    Sum sums[8];
    for (int i = 0; i < 9; i++) leaves[i].own = threadIdx.x + i;
    int used = 1 + (threadIdx.x + deep) % 8;
    for (int i = 0; i < used; i++) {
        sums[i].left = i + 1 < used ? static_cast<const Term*>(&sums[i + 1]) : &leaves[8];
        sums[i].right = &leaves[i];
    }
    const Term* root = threadIdx.x % 5 ? static_cast<const Term*>(&sums[0]) : &leaves[3];
    out[threadIdx.x] = root->value(0);
}
