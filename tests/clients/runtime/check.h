// What the programs share: a call that must succeed, and a condition that must hold.
#pragma once
#include <cstdio>
#include <cstdlib>
#include <cuda_runtime.h>

#define OK(call)                                                                                     \
    do {                                                                                             \
        cudaError_t code = (call);                                                                   \
        if (code != cudaSuccess) {                                                                   \
            printf("%s:%d: %s: %s\n", __FILE__, __LINE__, #call, cudaGetErrorName(code));            \
            exit(1);                                                                                 \
        }                                                                                            \
    } while (0)

#define IS(call, expected)                                                                           \
    do {                                                                                             \
        cudaError_t code = (call);                                                                   \
        if (code != (expected)) {                                                                    \
            printf("%s:%d: %s: %s, not %s\n", __FILE__, __LINE__, #call, cudaGetErrorName(code),     \
                   #expected);                                                                       \
            exit(1);                                                                                 \
        }                                                                                            \
    } while (0)

#define HOLDS(condition)                                                                             \
    do {                                                                                             \
        if (!(condition)) {                                                                          \
            printf("%s:%d: %s does not hold\n", __FILE__, __LINE__, #condition);                     \
            exit(1);                                                                                 \
        }                                                                                            \
    } while (0)
