// Variables of the device, by symbol: constant, plain and managed.
#include "check.h"

__constant__ float table[8];
__device__ int counter = 5;
__device__ double matrix[4][4];
__managed__ int shared_with_host = 40;
static __device__ int hidden = 9;

__global__ void work() {
    counter += int(table[threadIdx.x & 7]);
    matrix[1][2] = 2.5;
    shared_with_host += 2;
    hidden++;
}

int main() {
    HOLDS(shared_with_host == 40);
    float values[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    OK(cudaMemcpyToSymbol(table, values, sizeof values));
    OK(cudaMemcpyToSymbol(table, values + 7, sizeof(float), 0, cudaMemcpyHostToDevice));
    work<<<1, 1>>>();
    OK(cudaDeviceSynchronize());
    HOLDS(shared_with_host == 42);
    int found = 0;
    OK(cudaMemcpyFromSymbol(&found, counter, sizeof found));
    HOLDS(found == 13);
    OK(cudaMemcpyFromSymbol(&found, hidden, sizeof found));
    HOLDS(found == 10);
    void *address;
    size_t size;
    OK(cudaGetSymbolAddress(&address, matrix));
    OK(cudaGetSymbolSize(&size, matrix));
    HOLDS(size == 16 * sizeof(double));
    double element;
    OK(cudaMemcpy(&element, static_cast<double *>(address) + 6, sizeof element, cudaMemcpyDeviceToHost));
    HOLDS(element == 2.5);
    IS(cudaMemcpyToSymbol(table, values, sizeof values, sizeof(float)), cudaErrorInvalidValue);
    IS(cudaMemcpyToSymbol(table, values, 4, 0, cudaMemcpyDeviceToHost), cudaErrorInvalidMemcpyDirection);
    IS(cudaGetSymbolAddress(&address, values), cudaErrorInvalidSymbol);
    puts("ok");
}
