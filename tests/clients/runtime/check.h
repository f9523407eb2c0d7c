// What the programs share: a call that must succeed, and a condition that must hold.
#pragma once
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <cuda_runtime.h>

// Ends the program, or with CHECK_GOES_ON goes on to what else differs: for a look at what another driver answers.
inline void differs() {
    static bool first = true;
    if (!getenv("CHECK_GOES_ON")) exit(1);
    if (first) atexit([] { puts("differs"); });
    first = false;
}

// Whether the device is the software driver's, which has no model of some things that a GPU has.
inline bool software() {
    cudaDeviceProp properties;
    return cudaGetDeviceProperties(&properties, 0) == cudaSuccess && strstr(properties.name, "graphproof");
}

#define OK(call)                                                                                     \
    do {                                                                                             \
        cudaError_t code = (call);                                                                   \
        if (code != cudaSuccess) {                                                                   \
            printf("%s:%d: %s: %s\n", __FILE__, __LINE__, #call, cudaGetErrorName(code));            \
            differs();                                                                               \
        }                                                                                            \
    } while (0)

#define IS(call, expected)                                                                           \
    do {                                                                                             \
        cudaError_t code = (call);                                                                   \
        if (code != (expected)) {                                                                    \
            printf("%s:%d: %s: %s, not %s\n", __FILE__, __LINE__, #call, cudaGetErrorName(code),     \
                   #expected);                                                                       \
            differs();                                                                               \
        }                                                                                            \
    } while (0)

#define HOLDS(condition)                                                                             \
    do {                                                                                             \
        if (!(condition)) {                                                                          \
            printf("%s:%d: %s does not hold\n", __FILE__, __LINE__, #condition);                     \
            differs();                                                                               \
        }                                                                                            \
    } while (0)
