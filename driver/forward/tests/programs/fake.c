/* A driver of a few functions, which look at how they are called. */
#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

static int aligned(void) {
    /* At the entry of a function the stack pointer is 8 beyond a multiple of 16. */
    uintptr_t frame = (uintptr_t)__builtin_frame_address(0);
    return frame % 16 == 0;
}

EXPORT int cuInit(unsigned int flags) { return aligned() ? (int)flags : 999; }

EXPORT int cuDriverGetVersion(int *version) {
    *version = 13000;
    return 0;
}

/* Calls back, as occupancy functions do: what the callback throws goes through here. */
EXPORT int cuOccupancyMaxPotentialBlockSize(int *grid, int *block, void *function, size_t (*size)(int),
                                            size_t shared, int limit) {
    *grid = (int)size(limit);
    *block = (int)shared;
    (void)function;
    return 0;
}

EXPORT int cuParamSetf(void *function, int offset, float value) {
    (void)function;
    (void)offset;
    return value == 1.5f ? 0 : 1;
}

/* A float and a value beyond the registers. */
EXPORT int cuLaunchKernel(void *f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,
                          unsigned shared, void *stream, void **parameters, void **extra) {
    (void)f;
    (void)extra;
    unsigned sum = gx + 10 * gy + 100 * gz + 1000 * bx + 10000 * by + 100000 * bz + 1000000 * shared;
    return sum == 7654321 && stream == (void *)0x40 && parameters == NULL ? 0 : 1;
}

/* Not in any header: a newer driver's function, with arguments in vector registers and on the stack. */
EXPORT __attribute__((target("avx"))) int cuBrandNew(__m256 a, __m256 b, long c, long d, long e, long f, long g,
                                                    long h, long i, long j, long k) {
    float x[8], y[8];
    memcpy(x, &a, sizeof x);
    memcpy(y, &b, sizeof y);
    int well = c == 1 && d == 2 && e == 3 && f == 4 && g == 5 && h == 6 && i == 7 && j == 8 && k == 9;
    for (int n = 0; n < 8; n++)
        well = well && x[n] == (float)n && y[n] == (float)(10 * n);
    return well && aligned() ? 0 : 1;
}

EXPORT int cuNotInTheTable(long a) { return (int)a; }

EXPORT int cuGetProcAddress_v2(const char *symbol, void **function, int version, uint64_t flags, int *status) {
    (void)version;
    (void)flags;
    *function = NULL;
    if (!strcmp(symbol, "cuBrandNew"))
        *function = (void *)cuBrandNew;
    if (!strcmp(symbol, "cuInit"))
        *function = (void *)cuInit;
    if (status)
        *status = *function ? 0 : 1;
    return *function ? 0 : 500;
}
