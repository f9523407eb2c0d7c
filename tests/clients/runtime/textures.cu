// Textures and surfaces: filtered, repeated, layered, of three dimensions, of linear memory, and in a graph.
#include "check.h"
#include <cmath>
#include <vector>

const int W = 8, H = 5, D = 3;

__global__ void sample(cudaTextureObject_t t, float *out, int n, float dx, float dy) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n * n) out[i] = tex2D<float>(t, (i % n) * dx - 1, (i / n) * dy - 1);
}

__global__ void colours(cudaTextureObject_t t, float4 *out) {
    out[threadIdx.x] = tex2D<float4>(t, (threadIdx.x % W + 0.5f) / W, (threadIdx.x / W + 0.5f) / H);
}

__global__ void whole(cudaTextureObject_t t, int *out) {
    out[threadIdx.x] = tex1Dfetch<short>(t, threadIdx.x);
}

__global__ void layers(cudaTextureObject_t t, float *out) {
    int x = threadIdx.x % W, y = threadIdx.x / W % H, z = threadIdx.x / (W * H);
    out[threadIdx.x] = tex2DLayered<float>(t, x + 0.5f, y + 0.5f, z);
}

__global__ void volume(cudaTextureObject_t t, float *out) {
    int x = threadIdx.x % W, y = threadIdx.x / W % H, z = threadIdx.x / (W * H);
    out[threadIdx.x] = tex3D<float>(t, x + 1.0f, y + 1.0f, z + 0.5f);
}

__global__ void corners(cudaTextureObject_t t, float4 *out) {
    *out = tex2Dgather<float4>(t, 2.0f, 3.0f, 0);
}

// Turns a picture by a quarter through its surface into another.
__global__ void turn(cudaSurfaceObject_t from, cudaSurfaceObject_t to) {
    int x = threadIdx.x, y = threadIdx.y;
    ushort4 pixel;
    surf2Dread(&pixel, from, x * sizeof(pixel), y);
    pixel.w = surf2Dread<ushort4>(from, W * sizeof(pixel), y, cudaBoundaryModeZero).w + 9;
    surf2Dwrite(pixel, to, y * sizeof(pixel), W - 1 - x);
}

static cudaTextureObject_t texture(const cudaResourceDesc &resource, cudaTextureAddressMode mode,
                                   cudaTextureFilterMode filter, cudaTextureReadMode read, bool normalized) {
    cudaTextureDesc desc{};
    desc.addressMode[0] = desc.addressMode[1] = desc.addressMode[2] = mode;
    desc.filterMode = filter;
    desc.readMode = read;
    desc.normalizedCoords = normalized;
    cudaTextureObject_t object;
    OK(cudaCreateTextureObject(&object, &resource, &desc, nullptr));
    cudaTextureDesc back;
    OK(cudaGetTextureObjectTextureDesc(&back, object));
    HOLDS(back.addressMode[1] == mode && back.filterMode == filter && back.readMode == read);
    HOLDS((back.normalizedCoords != 0) == normalized);
    return object;
}

static cudaResourceDesc of(cudaArray_t array) {
    cudaResourceDesc resource{};
    resource.resType = cudaResourceTypeArray;
    resource.res.array.array = array;
    return resource;
}

// The value between the elements of a clamped picture, weighed in steps of 1/256.
static float between(const std::vector<float> &picture, float x, float y) {
    auto at = [&](int x, int y) { return picture[std::min(std::max(y, 0), H - 1) * W + std::min(std::max(x, 0), W - 1)]; };
    x = std::nearbyint((x - 0.5f) * 256) / 256, y = std::nearbyint((y - 0.5f) * 256) / 256;
    int i = std::floor(x), j = std::floor(y);
    float a = x - i, b = y - j;
    return (1 - a) * (1 - b) * at(i, j) + a * (1 - b) * at(i + 1, j) + (1 - a) * b * at(i, j + 1) + a * b * at(i + 1, j + 1);
}

int main() {
    float *out;
    OK(cudaMallocManaged(&out, 1 << 16));
    cudaChannelFormatDesc format = cudaCreateChannelDesc<float>();
    std::vector<float> picture(W * H);
    for (int i = 0; i < W * H; i++) picture[i] = i * i % 37;
    cudaArray_t array;
    OK(cudaMallocArray(&array, &format, W, H, cudaArrayTextureGather));
    OK(cudaMemcpy2DToArray(array, 0, 0, picture.data(), W * 4, W * 4, H, cudaMemcpyHostToDevice));
    cudaTextureObject_t filtered =
        texture(of(array), cudaAddressModeClamp, cudaFilterModeLinear, cudaReadModeElementType, false);
    const int n = 16;
    sample<<<2, 128>>>(filtered, out, n, 0.625f, 0.4375f);
    OK(cudaDeviceSynchronize());
    for (int i = 0; i < n * n; i++)
        HOLDS(std::abs(out[i] - between(picture, (i % n) * 0.625f - 1, (i / n) * 0.4375f - 1)) < 1e-4f);
    corners<<<1, 1>>>(filtered, (float4 *)out);
    OK(cudaDeviceSynchronize());
    HOLDS(out[0] == picture[3 * W + 1] && out[1] == picture[3 * W + 2]);
    HOLDS(out[2] == picture[2 * W + 2] && out[3] == picture[2 * W + 1]);

    // A graph keeps the object, and reads what the array holds when it runs.
    cudaStream_t stream;
    cudaGraph_t graph;
    cudaGraphExec_t exec;
    OK(cudaStreamCreate(&stream));
    OK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal));
    sample<<<2, 128, 0, stream>>>(filtered, out, n, 1, 1);
    OK(cudaStreamEndCapture(stream, &graph));
    OK(cudaGraphInstantiate(&exec, graph, 0));
    for (int launch = 0; launch < 3; launch++) {
        for (float &value : picture) value += 1;
        OK(cudaMemcpy2DToArray(array, 0, 0, picture.data(), W * 4, W * 4, H, cudaMemcpyHostToDevice));
        OK(cudaGraphLaunch(exec, stream));
        OK(cudaStreamSynchronize(stream));
        for (int i = 0; i < n * n; i++)
            HOLDS(std::abs(out[i] - between(picture, i % n - 1, i / n - 1)) < 1e-4f);
    }
    OK(cudaDestroyTextureObject(filtered));
    OK(cudaFreeArray(array));

    // Bytes as colours from 0 to 1, of rows of plain memory.
    std::vector<uchar4> bytes(W * H);
    for (int i = 0; i < W * H; i++) bytes[i] = make_uchar4(i, 255 - i, 5 * i, 255);
    cudaResourceDesc rows{};
    rows.resType = cudaResourceTypePitch2D;
    size_t pitch;
    OK(cudaMallocPitch(&rows.res.pitch2D.devPtr, &pitch, W * 4, H));
    OK(cudaMemcpy2D(rows.res.pitch2D.devPtr, pitch, bytes.data(), W * 4, W * 4, H, cudaMemcpyHostToDevice));
    rows.res.pitch2D.desc = cudaCreateChannelDesc<uchar4>();
    rows.res.pitch2D.width = W, rows.res.pitch2D.height = H, rows.res.pitch2D.pitchInBytes = pitch;
    cudaTextureObject_t coloured =
        texture(rows, cudaAddressModeWrap, cudaFilterModePoint, cudaReadModeNormalizedFloat, true);
    cudaResourceDesc found;
    OK(cudaGetTextureObjectResourceDesc(&found, coloured));
    HOLDS(found.resType == cudaResourceTypePitch2D && found.res.pitch2D.pitchInBytes == pitch);
    HOLDS(found.res.pitch2D.desc.w == 8 && found.res.pitch2D.desc.f == cudaChannelFormatKindUnsigned);
    colours<<<1, W * H>>>(coloured, (float4 *)out);
    OK(cudaDeviceSynchronize());
    for (int i = 0; i < W * H; i++)
        HOLDS(std::abs(out[4 * i + 1] - (255 - i) / 255.0f) < 1e-6f && out[4 * i + 3] == 1);
    OK(cudaDestroyTextureObject(coloured));

    // Shorts of linear memory, and zeros behind it.
    std::vector<short> shorts = {-5, 7, -9, 32767};
    cudaResourceDesc linear{};
    linear.resType = cudaResourceTypeLinear;
    OK(cudaMalloc(&linear.res.linear.devPtr, 8));
    OK(cudaMemcpy(linear.res.linear.devPtr, shorts.data(), 8, cudaMemcpyHostToDevice));
    linear.res.linear.desc = cudaCreateChannelDesc<short>();
    linear.res.linear.sizeInBytes = 8;
    cudaTextureObject_t fetched =
        texture(linear, cudaAddressModeClamp, cudaFilterModePoint, cudaReadModeElementType, false);
    whole<<<1, 6>>>(fetched, (int *)out);
    OK(cudaDeviceSynchronize());
    for (int i = 0; i < 6; i++) HOLDS(((int *)out)[i] == (i < 4 ? shorts[i] : 0));

    // Layers, and a volume whose neighbours are weighed.
    std::vector<float> cube(W * H * D);
    for (int i = 0; i < W * H * D; i++) cube[i] = i * 3 % 101;
    for (unsigned flags : {unsigned(cudaArrayLayered), 0u}) {
        cudaArray_t deep;
        OK(cudaMalloc3DArray(&deep, &format, make_cudaExtent(W, H, D), flags));
        cudaMemcpy3DParms copy{};
        copy.srcPtr = make_cudaPitchedPtr(cube.data(), W * 4, W, H);
        copy.dstArray = deep;
        copy.extent = make_cudaExtent(W, H, D);
        copy.kind = cudaMemcpyHostToDevice;
        OK(cudaMemcpy3D(&copy));
        cudaTextureFilterMode filter = flags ? cudaFilterModePoint : cudaFilterModeLinear;
        cudaTextureObject_t t = texture(of(deep), cudaAddressModeClamp, filter, cudaReadModeElementType, false);
        if (flags) layers<<<1, W * H * D>>>(t, out);
        else volume<<<1, W * H * D>>>(t, out);
        OK(cudaDeviceSynchronize());
        for (int i = 0; i < W * H * D; i++) {
            int x = i % W, y = i / W % H, z = i / (W * H), right = std::min(x + 1, W - 1), down = std::min(y + 1, H - 1);
            auto at = [&](int x, int y) { return cube[(z * H + y) * W + x]; };
            HOLDS(out[i] == (flags ? cube[i] : (at(x, y) + at(right, y) + at(x, down) + at(right, down)) / 4));
        }
        OK(cudaDestroyTextureObject(t));
        OK(cudaFreeArray(deep));
    }

    // Surfaces.
    cudaChannelFormatDesc pixels = cudaCreateChannelDesc<ushort4>();
    cudaArray_t one, two;
    OK(cudaMallocArray(&one, &pixels, W, H, cudaArraySurfaceLoadStore));
    OK(cudaMallocArray(&two, &pixels, H, W, cudaArraySurfaceLoadStore));
    std::vector<ushort4> in(W * H), back(W * H);
    for (int i = 0; i < W * H; i++) in[i] = make_ushort4(i, 2 * i, 3 * i, 4 * i);
    OK(cudaMemcpy2DToArray(one, 0, 0, in.data(), W * 8, W * 8, H, cudaMemcpyHostToDevice));
    cudaSurfaceObject_t from, to;
    cudaResourceDesc resource = of(one);
    OK(cudaCreateSurfaceObject(&from, &resource));
    OK(cudaGetSurfaceObjectResourceDesc(&found, from));
    HOLDS(found.resType == cudaResourceTypeArray && found.res.array.array == one);
    resource = of(two);
    OK(cudaCreateSurfaceObject(&to, &resource));
    turn<<<1, dim3(W, H)>>>(from, to);
    OK(cudaMemcpy2DFromArray(back.data(), H * 8, two, 0, 0, H * 8, W, cudaMemcpyDeviceToHost));
    for (int y = 0; y < H; y++)
        for (int x = 0; x < W; x++) {
            ushort4 got = back[(W - 1 - x) * H + y], was = in[y * W + x];
            HOLDS(got.x == was.x && got.y == was.y && got.z == was.z && got.w == 9);
        }
    OK(cudaDestroySurfaceObject(from));
    OK(cudaDestroySurfaceObject(to));

    // What is refused.
    OK(cudaDestroyTextureObject(from));
    cudaTextureDesc desc{};
    cudaTextureObject_t none;
    linear.res.linear.desc.x = 24;
    IS(cudaCreateTextureObject(&none, &linear, &desc, nullptr), cudaErrorInvalidChannelDescriptor);
    resource = of(one);
    desc.filterMode = cudaFilterModeLinear;
    IS(cudaCreateTextureObject(&none, &resource, &desc, nullptr), cudaErrorInvalidFilterSetting);
    OK(cudaFreeArray(one));
    OK(cudaFreeArray(two));
    puts("ok");
}
