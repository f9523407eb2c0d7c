// Types, keys and exactly rounded arithmetic shared by every lane.
//
// Nothing here depends on the order of atomics or on an approximate instruction, so the bits
// of every result are the same on each device that rounds fma, add and mul to nearest even.
// Compile with --fmad=false: a contraction would be chosen by ptxas, not by this text.
#pragma once

typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

// Dynamic shared memory of whichever kernel; each lays it out itself.
extern __shared__ __align__(16) unsigned char shared_memory[];

#define FULL_MASK 0xffffffffu
#define LANES 32u
// Keys of a tile: two for each lane of the warp that owns a row.
#define TILE_KEYS 64u

// Address in the shared window, for inline PTX.
__device__ __forceinline__ u32 shared_address(const void *pointer) { return (u32)__cvta_generic_to_shared(pointer); }

__device__ __forceinline__ float negative_infinity() { return __uint_as_float(0xff800000u); }

// A bf16 is the upper half of an fp32: widening is exact.
__device__ __forceinline__ float bf16_low(u32 pair) { return __uint_as_float(pair << 16); }
__device__ __forceinline__ float bf16_high(u32 pair) { return __uint_as_float(pair & 0xffff0000u); }

// Rounds to nearest even. Not for NaN, which no output holds.
__device__ __forceinline__ u16 to_bf16(float value) {
    u32 bits = __float_as_uint(value);
    return (u16)((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

__device__ __forceinline__ u32 lanes_below() { return (1u << (threadIdx.x & 31u)) - 1u; }

// A row's limits [start, end) come from device memory, unchecked by the host: clamp them here.
struct Limits {
    u32 low;
    u32 high;
};

__device__ __forceinline__ Limits clamp_limits(int start, int end, u32 keys) {
    int most = (int)keys;
    int low = min(max(start, 0), most);
    int high = min(max(end, 0), most);
    Limits limits;
    limits.low = (u32)low;
    limits.high = (u32)max(high, low);
    return limits;
}

// The score that takes part in selection and statistics: +0 for -0, so that both zeros tie,
// and -inf for NaN and for a key outside the limits. A -inf score is never picked.
__device__ __forceinline__ float effective_score(float score, bool inside) {
    float canonical = score + 0.0f;
    return inside && canonical > negative_infinity() ? canonical : negative_infinity();
}

// Unique key of a candidate: a larger score is larger, and of equal scores the lower index.
// Zero stands for "not a candidate"; no finite or +inf score maps to it.
__device__ __forceinline__ u64 candidate_key(float score, u32 index) {
    u32 bits = __float_as_uint(score);
    u32 order = (bits & 0x80000000u) ? ~bits : (bits | 0x80000000u);
    u64 key = ((u64)order << 32) | (u64)(~index);
    return score > negative_infinity() ? key : 0ull;
}

__device__ __forceinline__ u32 key_index(u64 key) { return ~(u32)key; }

__device__ __forceinline__ float key_score(u64 key) {
    u32 order = (u32)(key >> 32);
    return __uint_as_float((order & 0x80000000u) ? (order & 0x7fffffffu) : ~order);
}

// exp(x) for x <= 0 as 2^n * p(f), t = x*log2(e), n = rint(t), f = t - n in [-1/2, 1/2].
// p is the Taylor polynomial of 2^f of degree 6 (truncation below 1.3e-7), in Horner form
// with fma; p(0) = 1 exactly. Below 2^-126 the result is 0. ex2.approx would be shorter, but its
// bits are the hardware's own.
__device__ __forceinline__ float exp_nonpositive(float x) {
    float t = x * 1.44269504f;
    float shifted = t + 12582912.0f; // 1.5 * 2^23: rounds to an integer, kept in the low bits
    u32 n = __float_as_uint(shifted) - 0x4b400000u;
    float f = t - (shifted - 12582912.0f);
    float p = 1.54035304e-4f;
    p = fmaf(p, f, 1.33335581e-3f);
    p = fmaf(p, f, 9.61812911e-3f);
    p = fmaf(p, f, 5.55041087e-2f);
    p = fmaf(p, f, 2.40226507e-1f);
    p = fmaf(p, f, 6.93147181e-1f);
    p = fmaf(p, f, 1.0f);
    float scaled = p * __uint_as_float((n + 127u) << 23);
    return t < -126.0f ? 0.0f : scaled;
}

// exp(a - b) for a <= b; equal infinities give 1, never NaN.
__device__ __forceinline__ float exp_difference(float a, float b) {
    return exp_nonpositive(a == b ? 0.0f : a - b);
}

// Running maximum and running sum of exp(score - maximum) over the effective scores.
struct Statistics {
    float maximum;
    float sum;
};

__device__ __forceinline__ Statistics no_statistics() {
    Statistics none;
    none.maximum = negative_infinity();
    none.sum = 0.0f;
    return none;
}

// Adds two effective scores. A pair of -inf leaves the statistics as they are, bit for bit.
__device__ __forceinline__ void add_pair(Statistics &running, float first, float second) {
    float maximum = fmaxf(running.maximum, fmaxf(first, second));
    float scale = exp_difference(running.maximum, maximum);
    float a = first > negative_infinity() ? exp_difference(first, maximum) : 0.0f;
    float b = second > negative_infinity() ? exp_difference(second, maximum) : 0.0f;
    running.sum = fmaf(running.sum, scale, a + b);
    running.maximum = maximum;
}

// Adds another partial result.
__device__ __forceinline__ void add_partial(Statistics &running, Statistics other) {
    float maximum = fmaxf(running.maximum, other.maximum);
    float mine = exp_difference(running.maximum, maximum);
    float theirs = exp_difference(other.maximum, maximum);
    running.sum = fmaf(running.sum, mine, other.sum * theirs);
    running.maximum = maximum;
}

// Joins the lanes' statistics by a butterfly (xor 16, 8, 4, 2, 1); every lane gets the result.
__device__ __forceinline__ Statistics join_lanes(Statistics mine) {
    float maximum = mine.maximum;
#pragma unroll
    for (u32 step = 16; step; step >>= 1) {
        maximum = fmaxf(maximum, __shfl_xor_sync(FULL_MASK, maximum, step));
    }
    float sum = mine.sum * exp_difference(mine.maximum, maximum);
#pragma unroll
    for (u32 step = 16; step; step >>= 1) {
        sum = sum + __shfl_xor_sync(FULL_MASK, sum, step);
    }
    Statistics joined;
    joined.maximum = maximum;
    joined.sum = sum;
    return joined;
}
