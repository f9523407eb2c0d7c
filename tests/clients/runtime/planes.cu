// Copies and fills of two and three dimensions, pitched memory, arrays.
#include "check.h"
#include <vector>

int main() {
    const size_t width = 100, height = 7, depth = 3;
    std::vector<unsigned char> in(width * height), out(width * height, 0);
    for (size_t i = 0; i < in.size(); i++) in[i] = i * 7;
    unsigned char *p;
    size_t pitch;
    OK(cudaMallocPitch(&p, &pitch, width, height));
    HOLDS(pitch >= width && pitch % 32 == 0);
    OK(cudaMemset2D(p, pitch, 9, width, height));
    OK(cudaMemcpy2D(p, pitch, in.data(), width, width - 10, height, cudaMemcpyHostToDevice));
    OK(cudaMemcpy2D(out.data(), width, p, pitch, width, height, cudaMemcpyDeviceToHost));
    for (size_t y = 0; y < height; y++)
        for (size_t x = 0; x < width; x++) HOLDS(out[y * width + x] == (x < width - 10 ? in[y * width + x] : 9));
    IS(cudaMemcpy2D(p, pitch, in.data(), width - 1, width, height, cudaMemcpyHostToDevice), cudaErrorInvalidPitchValue);

    cudaPitchedPtr volume;
    cudaExtent extent = make_cudaExtent(width, height, depth);
    OK(cudaMalloc3D(&volume, extent));
    HOLDS(volume.xsize == width && volume.ysize == height);
    OK(cudaMemset3D(volume, 3, extent));
    std::vector<unsigned char> cube(width * height * depth);
    for (size_t i = 0; i < cube.size(); i++) cube[i] = i * 5;
    cudaMemcpy3DParms copy{};
    copy.srcPtr = make_cudaPitchedPtr(cube.data(), width, width, height);
    copy.dstPtr = volume;
    copy.dstPos = make_cudaPos(0, 0, 1);
    copy.extent = make_cudaExtent(width, height, depth - 1);
    copy.kind = cudaMemcpyHostToDevice;
    OK(cudaMemcpy3D(&copy));
    std::vector<unsigned char> back(cube.size());
    cudaMemcpy3DParms read{};
    read.srcPtr = volume;
    read.dstPtr = make_cudaPitchedPtr(back.data(), width, width, height);
    read.extent = extent;
    read.kind = cudaMemcpyDeviceToHost;
    OK(cudaMemcpy3DAsync(&read, 0));
    OK(cudaStreamSynchronize(0));
    size_t plane = width * height;
    for (size_t i = 0; i < back.size(); i++) HOLDS(back[i] == (i < plane ? 3 : cube[i - plane]));

    // An array of floats.
    cudaChannelFormatDesc format = cudaCreateChannelDesc<float>();
    cudaArray_t array;
    OK(cudaMallocArray(&array, &format, 16, 4));
    std::vector<float> values(64), again(64);
    for (int i = 0; i < 64; i++) values[i] = i;
    OK(cudaMemcpy2DToArray(array, 0, 0, values.data(), 64, 64, 4, cudaMemcpyHostToDevice));
    OK(cudaMemcpy2DFromArray(again.data(), 64, array, 0, 0, 64, 4, cudaMemcpyDeviceToHost));
    HOLDS(values == again);
    cudaChannelFormatDesc found;
    cudaExtent size;
    unsigned flags;
    OK(cudaArrayGetInfo(&found, &size, &flags, array));
    HOLDS(found.x == 32 && found.y == 0 && found.f == cudaChannelFormatKindFloat && size.width == 16 && size.height == 4);
    OK(cudaFreeArray(array));
    OK(cudaFree(volume.ptr));
    OK(cudaFree(p));
    puts("ok");
}
