// What a warpgroup of the fused lanes on wgmma does with a tile of keys: product, sums over heads, statistics, list.
#pragma once
#include "group_rank.cuh"
#include "mma.cuh"

#define ROWS 4u
#define ROW_HEADS 64u
#define COLUMNS (ROWS * ROW_HEADS)
// A warpgroup multiplies a tile of keys with half of the query rows.
#define HALF_ROWS (ROWS / 2u)
#define HALF_COLUMNS (COLUMNS / 2u)
#define WG_KEYS 64u
#define CONSUMERS (4u * WARPGROUP)
// Warps that are done with a tile before another one takes its place.
#define TILE_WARPS (2u * WARPGROUP / LANES)
// Named barriers: 1 to 4 of one warpgroup, 5 and 6 of the two that share query rows, 7 of all that multiply.
#define PAIR 5u
#define ALL 7u
// Keys of a row that a step of a pair can bring.
#define STEP_KEYS (2u * WG_KEYS)
// A list is cut when it has not room for so many steps.
#define LEAST_STEPS 2u
// Of a thread's 32 weights, those that have a register.
#define KEPT_WEIGHTS 20u

struct RowState {
    u64 bound;
    u32 count;
};

// What a tile is made of: bytes of an element, keys of a list that a thread holds while it selects, whether each key has
// a scale, and the product of 32 bytes of each row and column.
struct Bf16 {
    static const u32 BYTES = 2u;
    static const u32 HELD = 27u;
    static const bool SCALED = false;
    static __device__ __forceinline__ void multiply(float (&c)[64], u64 a, u64 b, u32 add) { wgmma_bf16(c, a, b, add); }
};
struct E4m3 {
    static const u32 BYTES = 1u;
    static const u32 HELD = 35u;
    static const bool SCALED = true;
    static __device__ __forceinline__ void multiply(float (&c)[64], u64 a, u64 b, u32 add) { wgmma_e4m3(c, a, b, add); }
};
// Bytes of a row of keys times the tiles under way at once, and the most tiles.
#define STAGED_BYTES 768u
#define MOST_STAGES 6u

struct BlockState {
    // The weights of the 16 columns that lanes 0 to 3 of a quad have in each row; 16 bytes of padding.
    float weights[ROWS][4][20];
    GroupScratch scratch[4];
    RowState row[ROWS];
    // Of the warps that take one row, in the order of their tiles and of their keys.
    Statistics partial[8][ROWS];
    u64 full[2u * MOST_STAGES];
    u64 empty[MOST_STAGES];
};
static_assert(sizeof(BlockState) <= 8192, "the host's room for it");

// Where 16 bytes of a row of a swizzled tile of `tile_rows` rows lie: piece 8 begins the second half.
__device__ __forceinline__ u32 swizzled(u32 tile_rows, u32 row, u32 piece) {
    u32 half = piece / 8u;
    return half * tile_rows * 128u + row * 128u + (((piece & 7u) ^ (row & 7u)) * 16u);
}

// Has a tile of keys brought, of rows of `Wide` bytes.
template <typename Element, u32 Wide>
__device__ __forceinline__ void start_tile(u32 to, const TensorMap *keys, u32 batch, u32 key, u32 barrier) {
    barrier_expect(barrier, WG_KEYS * Wide);
#pragma unroll
    for (u32 half = 0; half < Wide / 128u; ++half) {
        copy_box(to + half * WG_KEYS * 128u, keys, half * (128u / Element::BYTES), batch, key, barrier);
    }
}

// Starts the warpgroup's product of a key tile with its half of the queries, of `Deep` bytes.
template <typename Element, u32 Deep>
__device__ __forceinline__ void start_product(float (&c)[64], u32 keys, u32 queries) {
    u64 rows = tile_descriptor(keys);
    u64 columns = tile_descriptor(queries);
    pin(c);
    wgmma_fence();
#pragma unroll
    for (u32 i = 0; i < Deep / 32u; ++i) {
        u32 half = i / 4u;
        u32 step = (i % 4u) * 32u;
        Element::multiply(c, further(rows, half * WG_KEYS * 128u + step), further(columns, half * COLUMNS * 128u + step), i);
    }
    wgmma_commit();
}

// `yes` if `condition`, else `no`: chosen, where the compiler would branch round what makes `yes`.
__device__ __forceinline__ float choose(bool condition, float yes, float no) {
    float chosen;
    asm("{\n.reg .pred p;\nsetp.ne.u32 p, %1, 0;\nselp.f32 %0, %2, %3, p;\n}"
        : "=f"(chosen)
        : "r"((u32)condition), "f"(yes), "f"(no));
    return chosen;
}

// Adds two effective scores, the lane's and that of the lane with bit 1 the other way, as add_pair, with the same bits:
// both lanes have the sum. New maxima are rare.
__device__ __forceinline__ void add_scores(Statistics &running, float score) {
    float maximum = fmaxf(running.maximum, fmaxf(score, __shfl_xor_sync(FULL_MASK, score, 2)));
    float mine = choose(score > negative_infinity(), exp_difference(score, maximum), 0.0f);
    float both = mine + __shfl_xor_sync(FULL_MASK, mine, 2);
    float scale = 1.0f;
    if (__any_sync(FULL_MASK, maximum > running.maximum)) {
        scale = exp_difference(running.maximum, maximum);
        running.maximum = maximum;
    }
    running.sum = fmaf(running.sum, scale, both);
}

// A score of one row: statistics, and an offer to its list.
__device__ __forceinline__ void take_score(float sum, u32 key, Limits limits, u32 bound, Statistics &running, u64 *list,
                                           u32 *count) {
    u32 lane = threadIdx.x & 31u;
    float score = effective_score(sum, key >= limits.low && key < limits.high);
    u64 candidate = candidate_key(score, key);
    bool pass = candidate && (u32)(candidate >> 32) >= bound;
    u32 passing = __ballot_sync(FULL_MASK, pass) & (0x55555555u << (lane & 1u));
    // The sum goes on while the place in the list is on its way.
    u32 to = 0;
    if (lane < HALF_ROWS && passing) {
        to = atomicAdd(count, (u32)__popc(passing));
    }
    add_scores(running, score);
    to = __shfl_sync(FULL_MASK, to, lane & 1u);
    if (pass) {
        list[to + __popc(passing & lanes_below())] = candidate;
    }
}

// Brings those of a thread's weights that have a register.
__device__ __forceinline__ void keep_weights(float (&kept)[KEPT_WEIGHTS], const float (*weights)[4][20]) {
#pragma unroll
    for (u32 i = 0; i < KEPT_WEIGHTS; ++i) {
        kept[i] = *(const volatile float *)&weights[i / 16u][threadIdx.x & 3u][i % 16u];
    }
}

// One thread's part of a tile: the sums over heads of two keys in each row, of which the lane takes that of row
// `lane % 2` and key `lane / 2 % 2`.
// `Halved`: of odd heads the weights are halves, and twice the relu comes from an addition, which another unit does than
// the maximum. Not for a NaN.
template <bool Halved>
__device__ __forceinline__ float sum_heads(float (&c)[64], const float (&kept)[KEPT_WEIGHTS],
                                           const float (*weights)[4][20]) {
    u32 lane = threadIdx.x & 31u;
    float sums[2][HALF_ROWS];
#pragma unroll
    for (u32 row = 0; row < HALF_ROWS; ++row) {
        sums[0][row] = 0.0f;
        sums[1][row] = 0.0f;
#pragma unroll
        for (u32 part = 0; part < 4u; ++part) {
            u32 first = row * 16u + part * 4u;
            float4 w = first < KEPT_WEIGHTS
                           ? make_float4(kept[first % KEPT_WEIGHTS], kept[(first + 1u) % KEPT_WEIGHTS],
                                         kept[(first + 2u) % KEPT_WEIGHTS], kept[(first + 3u) % KEPT_WEIGHTS])
                           : *reinterpret_cast<const float4 *>(&weights[row][lane & 3u][part * 4u]);
#pragma unroll
            for (u32 half = 0; half < 2u; ++half) {
                u32 at = (row * 8u + part * 2u) * 4u + half * 2u;
                float sum = sums[half][row];
                float second = Halved ? c[at + 1u] + fabsf(c[at + 1u]) : fmaxf(c[at + 1u], 0.0f);
                float last = Halved ? c[at + 5u] + fabsf(c[at + 5u]) : fmaxf(c[at + 5u], 0.0f);
                sum = fmaf(w.x, fmaxf(c[at], 0.0f), sum);
                sum = fmaf(w.y, second, sum);
                sum = fmaf(w.z, fmaxf(c[at + 4u], 0.0f), sum);
                sums[half][row] = fmaf(w.w, last, sum);
            }
        }
    }
    bool far = lane & 2u;
    bool odd = lane & 1u;
    float pair[2];
#pragma unroll
    for (u32 r = 0; r < HALF_ROWS; ++r) {
        float give = far ? sums[0][r] : sums[1][r];
        float keep = far ? sums[1][r] : sums[0][r];
        pair[r] = keep + __shfl_xor_sync(FULL_MASK, give, 2);
    }
    float give = odd ? pair[0] : pair[1];
    return (odd ? pair[1] : pair[0]) + __shfl_xor_sync(FULL_MASK, give, 1);
}
