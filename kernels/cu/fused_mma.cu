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

// A lane's part of Parts * MMA_HEADS heads of its row, from head `head` on, as `multiply` wants it; missing heads are
// zero, and so is their weight. Each part has the lane's heads lane / 4 and lane / 4 + 8.
template <u32 D, u32 Parts> struct Heads {
    u32 a[Parts][D / 16u][4];
    float weights[Parts][2];

    __device__ __forceinline__ void load(const u16 *q, const float *w, u32 head, u32 heads) {
        u32 lane = threadIdx.x & 31u;
#pragma unroll
        for (u32 part = 0; part < Parts; ++part) {
#pragma unroll
            for (u32 half = 0; half < 2u; ++half) {
                u32 row = head + part * MMA_HEADS + half * 8u + (lane >> 2);
                bool there = row < heads;
                weights[part][half] = there ? __ldg(w + row) : 0.0f;
                const u32 *from = reinterpret_cast<const u32 *>(q + (size_t)row * D) + (lane & 3u);
#pragma unroll
                for (u32 i = 0; i < D / 16u; ++i) {
                    a[part][i][half] = there ? __ldg(from + i * 8u) : 0u;
                    a[part][i][half + 2u] = there ? __ldg(from + i * 8u + 4u) : 0u;
                }
            }
        }
    }

    // Adds the heads' relu(dot) * weight to the lane's two keys in each eight of the tile, head by head.
    __device__ __forceinline__ void add(float (&partial)[8][2], const u16 *tile) const {
        u32 lane = threadIdx.x & 31u;
        // Lane l gives ldmatrix the address of one row: keys l % 8 and l / 16 * 8 at column half (l / 8) % 2.
        u32 from = shared_address(tile + ((lane & 7u) + (lane >> 4) * 8u) * bf16_stride<D>() + ((lane >> 3) & 1u) * 8u);
#pragma unroll
        for (u32 pair = 0; pair < 4u; ++pair) {
            float dots[Parts][2][4];
#pragma unroll
            for (u32 part = 0; part < Parts; ++part) {
#pragma unroll
                for (u32 c = 0; c < 4u; ++c) {
                    dots[part][0][c] = 0.0f;
                    dots[part][1][c] = 0.0f;
                }
            }
#pragma unroll
            for (u32 i = 0; i < D / 16u; ++i) {
                u32 b[4];
                load_matrices(b, from + (pair * 16u * bf16_stride<D>() + i * 16u) * 2u);
#pragma unroll
                for (u32 part = 0; part < Parts; ++part) {
                    multiply(dots[part][0], a[part][i], b[0], b[1]);
                    multiply(dots[part][1], a[part][i], b[2], b[3]);
                }
            }
#pragma unroll
            for (u32 part = 0; part < Parts; ++part) {
#pragma unroll
                for (u32 t = 0; t < 2u; ++t) {
#pragma unroll
                    for (u32 c = 0; c < 2u; ++c) {
                        float upper = fmaf(weights[part][0], fmaxf(dots[part][t][c], 0.0f), partial[2u * pair + t][c]);
                        partial[2u * pair + t][c] = fmaf(weights[part][1], fmaxf(dots[part][t][c + 2u], 0.0f), upper);
                    }
                }
            }
        }
    }
};

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

// What the threads of a block find in its dynamic shared memory, in this order: two key tiles
// [TILE_KEYS, D + 8] bf16; then for each warp: histogram [RADIX_BINS] u32, candidates [capacity] u64.
// The host's twin is in src/layout.rs.
template <u32 D> struct MmaShared {
    u16 *tiles;
    u32 *histogram;
    u64 *candidates;

    __device__ __forceinline__ MmaShared(u32 capacity) {
        tiles = reinterpret_cast<u16 *>(shared_memory);
        unsigned char *mine = shared_memory + 2u * TILE_KEYS * bf16_stride<D>() * 2u +
                              threadIdx.x / LANES * (RADIX_BINS * 4u + capacity * 8u);
        histogram = reinterpret_cast<u32 *>(mine);
        candidates = reinterpret_cast<u64 *>(mine + RADIX_BINS * 4u);
    }

    __device__ __forceinline__ u16 *tile(u32 number) const {
        return tiles + (number & 1u) * TILE_KEYS * bf16_stride<D>();
    }
};

// Streams the tiles of the block's rows; each warp has one, of which Parts * MMA_HEADS heads stay in registers.
// All warps cut their lists when one must: the others would wait for it at the next tile.
template <u32 D, u32 Parts>
__device__ __forceinline__ Statistics stream_tiles(const MmaShared<D> &shared, StreamTopk &best, Limits limits,
                                                   u32 first_tile, u32 last_tile, const u16 *q, const u16 *k,
                                                   const float *w, u32 keys, u32 batches, u32 batch, u32 heads) {
    const u32 resident = Parts * MMA_HEADS;
    u32 lane = threadIdx.x & 31u;
    Statistics stats = no_statistics();
    Heads<D, Parts> mine;
    mine.load(q, w, 0, heads);
    if (first_tile < last_tile) {
        start_tile<D>(shared.tile(first_tile), k, first_tile * TILE_KEYS, keys, batches, batch);
        commit_copies();
    }
    for (u32 tile = first_tile; tile < last_tile; ++tile) {
        if (tile + 1u < last_tile) {
            start_tile<D>(shared.tile(tile + 1u), k, (tile + 1u) * TILE_KEYS, keys, batches, batch);
        }
        commit_copies(); // an empty group at the end keeps the count of pending groups at one
        wait_copies<1>();
        if (__syncthreads_or(best.count + TILE_KEYS > best.capacity)) {
            best.trim();
        }
        u32 base = tile * TILE_KEYS;
        if (base < limits.high && base + TILE_KEYS > limits.low) {
            float partial[8][2];
#pragma unroll
            for (u32 t = 0; t < 8u; ++t) {
                partial[t][0] = 0.0f;
                partial[t][1] = 0.0f;
            }
            mine.add(partial, shared.tile(tile));
            // With more heads than stay, the first ones come back for the next tile.
            for (u32 head = resident; head < heads; head += resident) {
                mine.load(q, w, head, heads);
                mine.add(partial, shared.tile(tile));
            }
            if (heads > resident) {
                mine.load(q, w, 0, heads);
            }
            float scores[2];
            reduce_heads(scores, partial);
            u32 near = base + 2u * lane;
            u32 far = near + 1u;
            float a = effective_score(scores[0], near >= limits.low && near < limits.high);
            float b = effective_score(scores[1], far >= limits.low && far < limits.high);
            add_pair(stats, a, b);
            best.offer(candidate_key(a, near));
            best.offer(candidate_key(b, far));
        }
        __syncthreads(); // the tile is free for the copy of the next but one
    }
    return join_lanes(stats);
}

// Grid, buffers and results as fused.cu, any number of warps.
template <u32 D, u32 Parts>
__device__ __forceinline__ void fused_mma(const u16 *q, const u16 *k, const float *w, const int *start, const int *end,
                                          int *index, u16 *score, float *maximum, float *sum, u32 *bits, u32 queries,
                                          u32 keys, u32 batches, u32 heads, u32 topk, u32 capacity) {
    u32 warps = blockDim.x / LANES;
    u32 lane = threadIdx.x & 31u;
    MmaShared<D> shared(capacity);
    u32 batch = blockIdx.y;
    u32 first_row = blockIdx.x * warps;
    u32 row = first_row + threadIdx.x / LANES;
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
    StreamTopk best;
    best.begin(shared.candidates, shared.histogram, capacity, topk);
    size_t source = ((size_t)(present ? row : 0u) * batches + batch) * heads;
    Statistics joined =
        stream_tiles<D, Parts>(shared, best, limits, low / TILE_KEYS, (high + TILE_KEYS - 1u) / TILE_KEYS,
                               q + source * D, k, w + source, keys, batches, batch, heads);
    if (!present) {
        return;
    }
    u32 picks = best.finish();
    size_t cell = (size_t)batch * queries + row;
    RowOutputs outputs;
    outputs.index = index + cell * topk;
    outputs.score = score + cell * topk;
    outputs.bits = bits + cell * ((keys + 31u) / 32u);
    write_row(outputs, shared.candidates, picks, topk, lane, LANES);
    if (lane == 0) {
        maximum[cell] = joined.maximum;
        sum[cell] = joined.sum;
    }
}

// One kernel for each number of heads that stay in registers: 16, or 64.
#define FUSED_MMA(D, HEADS)                                                                                            \
    extern "C" __global__ void __launch_bounds__(256) fused_mma_d##D##_h##HEADS(                                       \
        const u16 *q, const u16 *k, const float *w, const int *start, const int *end, int *index, u16 *score,          \
        float *maximum, float *sum, u32 *bits, u32 queries, u32 keys, u32 batches, u32 heads, u32 topk,                \
        u32 capacity) {                                                                                                \
        fused_mma<D, HEADS / MMA_HEADS>(q, k, w, start, end, index, score, maximum, sum, bits, queries, keys, batches, \
                                        heads, topk, capacity);                                                        \
    }

FUSED_MMA(32, 16)
FUSED_MMA(32, 64)
FUSED_MMA(64, 16)
FUSED_MMA(64, 64)
FUSED_MMA(128, 16)
FUSED_MMA(128, 64)
