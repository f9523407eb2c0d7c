// The fused lane on tensor cores: bf16 mma.sync with fp32 accumulation, heads as rows of the
// product, keys as columns, key tiles double-buffered with cp.async.
//
// The products of a dot are added in the tensor core's own order, and heads by a tree over the
// lanes: scores agree with the other lanes to rounding only, not bit for bit.
#include "mma.cuh"
#include "stream.cuh"

#define MMA_HEADS 16u

// The block starts the copy of a key tile. A key past the end repeats the last one.
template <u32 D>
__device__ __forceinline__ void start_tile(u16 *tile, const u16 *k, u32 first, u32 keys, u32 batches, u32 batch) {
    const u32 pieces = D / 8u;
    for (u32 i = threadIdx.x; i < TILE_KEYS * pieces; i += blockDim.x) {
        u32 row = i / pieces;
        u32 piece = i % pieces;
        u32 key = min(first + row, keys - 1u);
        copy_async(shared_address(tile + row * bf16_stride<D>() + piece * 8u),
                   k + ((size_t)key * batches + batch) * D + piece * 8u);
    }
}

// The warp stages MMA_HEADS heads of its row from head `head` on; missing heads are zero.
template <u32 D> __device__ __forceinline__ void stage_heads(u16 *staged, const u16 *q, u32 head, u32 heads) {
    const u32 pieces = D / 8u;
    for (u32 i = threadIdx.x & 31u; i < MMA_HEADS * pieces; i += LANES) {
        u32 row = i / pieces;
        u32 piece = i % pieces;
        uint4 value = make_uint4(0, 0, 0, 0);
        if (head + row < heads) {
            value = __ldg(reinterpret_cast<const uint4 *>(q + (size_t)(head + row) * D + piece * 8u));
        }
        *reinterpret_cast<uint4 *>(staged + row * bf16_stride<D>() + piece * 8u) = value;
    }
}

// dots[t] = the 16 x 8 product of the staged heads with keys [8t, 8t + 8) of the tile.
template <u32 D> __device__ __forceinline__ void multiply_tile(float (&dots)[8][4], const u16 *staged, const u16 *tile) {
    u32 lane = threadIdx.x & 31u;
    // Lane l gives ldmatrix the address of one row: for A, heads l % 16 at column half l / 16;
    // for B, keys l % 8 and l / 16 * 8 at column half (l / 8) % 2.
    u32 a_row = shared_address(staged + (lane & 15u) * bf16_stride<D>() + (lane >> 4) * 8u);
    u32 b_row = shared_address(tile + ((lane & 7u) + (lane >> 4) * 8u) * bf16_stride<D>() + ((lane >> 3) & 1u) * 8u);
#pragma unroll
    for (u32 t = 0; t < 8u; ++t) {
        dots[t][0] = 0.0f;
        dots[t][1] = 0.0f;
        dots[t][2] = 0.0f;
        dots[t][3] = 0.0f;
    }
#pragma unroll
    for (u32 i = 0; i < D; i += 16u) {
        u32 a[4];
        load_matrices(a, a_row + i * 2u);
#pragma unroll
        for (u32 pair = 0; pair < 4u; ++pair) {
            u32 b[4];
            load_matrices(b, b_row + (pair * 16u * bf16_stride<D>() + i) * 2u);
            multiply(dots[2u * pair], a, b[0], b[1]);
            multiply(dots[2u * pair + 1u], a, b[2], b[3]);
        }
    }
}

// Sums over the eight lanes that share a column, and scatters: of the partial sums
// [8 key groups][2 keys] each lane gets those of keys 2*lane and 2*lane + 1.
__device__ __forceinline__ void reduce_heads(float (&scores)[2], float (&partial)[8][2]) {
    u32 lane = threadIdx.x & 31u;
#pragma unroll
    for (u32 half = 4; half; half >>= 1) {
        bool upper = (lane & (half * 4u)) != 0u;
#pragma unroll
        for (u32 t = 0; t < half; ++t) {
#pragma unroll
            for (u32 c = 0; c < 2u; ++c) {
                float give = upper ? partial[t][c] : partial[t + half][c];
                float keep = upper ? partial[t + half][c] : partial[t][c];
                partial[t][c] = keep + __shfl_xor_sync(FULL_MASK, give, half * 4u);
            }
        }
    }
    scores[0] = partial[0][0];
    scores[1] = partial[0][1];
}

// Grid, buffers and results as fused.cu. Dynamic shared memory, in this order: two key tiles
// [TILE_KEYS, D + 8] bf16; then for each warp: heads [MMA_HEADS, D + 8] bf16, histogram
// [RADIX_BINS] u32, candidates [capacity] u64. The host's twin is in src/layout.rs.
template <u32 D>
__device__ __forceinline__ void fused_mma(const u16 *q, const u16 *k, const float *w, const int *start, const int *end,
                                          int *index, u16 *score, float *maximum, float *sum, u32 *bits, u32 queries,
                                          u32 keys, u32 batches, u32 heads, u32 topk, u32 capacity) {
    const u32 tile_cells = TILE_KEYS * bf16_stride<D>();
    const u32 staged_bytes = MMA_HEADS * bf16_stride<D>() * 2u;
    u32 warps = blockDim.x / LANES;
    u32 warp = threadIdx.x / LANES;
    u32 lane = threadIdx.x & 31u;
    u16 *tiles = reinterpret_cast<u16 *>(shared_memory);
    unsigned char *mine = shared_memory + 2u * tile_cells * 2u + warp * (staged_bytes + RADIX_BINS * 4u + capacity * 8u);
    u16 *staged = reinterpret_cast<u16 *>(mine);
    u32 *histogram = reinterpret_cast<u32 *>(mine + staged_bytes);
    u64 *candidates = reinterpret_cast<u64 *>(mine + staged_bytes + RADIX_BINS * 4u);

    u32 batch = blockIdx.y;
    u32 first_row = blockIdx.x * warps;
    u32 row = first_row + warp;
    bool present = row < queries;
    Limits limits;
    limits.low = 0;
    limits.high = 0;
    u32 low = keys;
    u32 high = 0;
    for (u32 other = first_row; other < min(first_row + warps, queries); ++other) {
        size_t cell = (size_t)batch * queries + other;
        Limits its = clamp_limits(__ldg(start + cell), __ldg(end + cell), keys);
        low = its.low < its.high ? min(low, its.low) : low;
        high = its.low < its.high ? max(high, its.high) : high;
        limits.low = other == row ? its.low : limits.low;
        limits.high = other == row ? its.high : limits.high;
    }
    u32 first_tile = low / TILE_KEYS;
    u32 last_tile = (high + TILE_KEYS - 1u) / TILE_KEYS;

    StreamTopk best;
    best.begin(candidates, histogram, capacity, topk);
    Statistics stats = no_statistics();
    size_t source = ((size_t)(present ? row : 0u) * batches + batch) * heads;
    q += source * D;
    w += source;
    bool restage = true;
    if (first_tile < last_tile) {
        start_tile<D>(tiles + (first_tile & 1u) * tile_cells, k, first_tile * TILE_KEYS, keys, batches, batch);
        commit_copies();
    }
    for (u32 tile = first_tile; tile < last_tile; ++tile) {
        if (tile + 1u < last_tile) {
            start_tile<D>(tiles + ((tile + 1u) & 1u) * tile_cells, k, (tile + 1u) * TILE_KEYS, keys, batches, batch);
        }
        commit_copies(); // an empty group at the end keeps the count of pending groups at one
        wait_copies<1>();
        __syncthreads();
        u32 base = tile * TILE_KEYS;
        if (base < limits.high && base + TILE_KEYS > limits.low) {
            float partial[8][2];
#pragma unroll
            for (u32 t = 0; t < 8u; ++t) {
                partial[t][0] = 0.0f;
                partial[t][1] = 0.0f;
            }
            for (u32 head = 0; head < heads; head += MMA_HEADS) {
                if (restage) {
                    __syncwarp();
                    stage_heads<D>(staged, q, head, heads);
                    __syncwarp();
                    restage = heads > MMA_HEADS;
                }
                float dots[8][4];
                multiply_tile<D>(dots, staged, tiles + (tile & 1u) * tile_cells);
                u32 upper = head + (lane >> 2);
                u32 lower = upper + 8u;
                float upper_weight = upper < heads ? __ldg(w + upper) : 0.0f;
                float lower_weight = lower < heads ? __ldg(w + lower) : 0.0f;
#pragma unroll
                for (u32 t = 0; t < 8u; ++t) {
#pragma unroll
                    for (u32 c = 0; c < 2u; ++c) {
                        float sum_so_far = fmaf(upper_weight, fmaxf(dots[t][c], 0.0f), partial[t][c]);
                        partial[t][c] = fmaf(lower_weight, fmaxf(dots[t][c + 2u], 0.0f), sum_so_far);
                    }
                }
            }
            float scores[2];
            reduce_heads(scores, partial);
            u32 near = base + 2u * lane;
            u32 far = near + 1u;
            float a = effective_score(scores[0], near >= limits.low && near < limits.high);
            float b = effective_score(scores[1], far >= limits.low && far < limits.high);
            add_pair(stats, a, b);
            best.offer_pair(candidate_key(a, near), candidate_key(b, far));
        }
        __syncthreads(); // the tile is free for the copy of the next but one
    }
    if (!present) {
        return;
    }
    Statistics joined = join_lanes(stats);
    u32 picks = best.finish();
    size_t cell = (size_t)batch * queries + row;
    RowOutputs outputs;
    outputs.index = index + cell * topk;
    outputs.score = score + cell * topk;
    outputs.bits = bits + cell * ((keys + 31u) / 32u);
    write_row(outputs, candidates, picks, topk, lane, LANES);
    if (lane == 0) {
        maximum[cell] = joined.maximum;
        sum[cell] = joined.sum;
    }
}

#define FUSED_MMA(D)                                                                                                   \
    extern "C" __global__ void __launch_bounds__(128) fused_mma_d##D(                                                  \
        const u16 *q, const u16 *k, const float *w, const int *start, const int *end, int *index, u16 *score,          \
        float *maximum, float *sum, u32 *bits, u32 queries, u32 keys, u32 batches, u32 heads, u32 topk,                \
        u32 capacity) {                                                                                                \
        fused_mma<D>(q, k, w, start, end, index, score, maximum, sum, bits, queries, keys, batches, heads, topk,       \
                     capacity);                                                                                        \
    }

FUSED_MMA(32)
FUSED_MMA(64)
FUSED_MMA(128)
