// The decode lane: one query row a batch against an index cache that grows on the device, over the whole chip.
//
// position [batches] u32 counts the tokens appended so far (modulo 2^32); a token goes to slot
// position % capacity, and min(position + 1, capacity) slots hold a key once it is there. No
// launch parameter depends on the position, so the step can be replayed as it is.
//
// Scores come from tensor cores: the products of a dot are added in the core's own order, so that they agree
// with the scalar reference to rounding. What follows them is exact, and no result depends on timing.
#include "held_select.cuh"
#include "mma.cuh"

#define WARPS 4u
#define STAGES 3u
// Keys of a tile that a warp multiplies.
#define WARP_KEYS (TILE_KEYS / WARPS)
// Heads in shared memory at once, and heads that a warp multiplies at once.
#define STAGED_HEADS 64u
#define HEAD_STEP 32u

// The block starts the copy of a key tile. A key past the end repeats the last one; the key of `slot` is `fresh`.
template <u32 D>
__device__ __forceinline__ void start_tile(u16 *tile, const u16 *cache, const u16 *fresh, u32 slot, u32 first, u32 slots,
                                           u32 batches, u32 batch) {
    const u32 pieces = D / 8u;
#pragma unroll
    for (u32 i = threadIdx.x; i < TILE_KEYS * pieces; i += WARPS * LANES) {
        u32 row = i / pieces;
        u32 piece = i % pieces;
        u32 key = min(first + row, slots - 1u);
        const u16 *from = key == slot ? fresh : cache + ((size_t)key * batches + batch) * D;
        copy_async(shared_address(tile + row * bf16_stride<D>() + piece * 8u), from + piece * 8u);
    }
}

// The block starts the copy of `rows` heads from `head` on; missing heads are zero.
template <u32 D>
__device__ __forceinline__ void start_heads(u16 *staged, const u16 *q, u32 head, u32 heads, u32 rows) {
    const u32 pieces = D / 8u;
    for (u32 i = threadIdx.x; i < rows * pieces; i += WARPS * LANES) {
        u32 row = i / pieces;
        u32 piece = i % pieces;
        u16 *to = staged + row * bf16_stride<D>() + piece * 8u;
        if (head + row < heads) {
            copy_async(shared_address(to), q + (size_t)(head + row) * D + piece * 8u);
        } else {
            *reinterpret_cast<uint4 *>(to) = make_uint4(0, 0, 0, 0);
        }
    }
}

// Adds `rows` heads from `head` on to the partial scores of the warp's keys, whose vectors are in `b`:
// partial[n][c] is of key 8 * n + 2 * (lane % 4) + c, summed over the heads lane / 4 modulo 8.
template <u32 D>
__device__ __forceinline__ void add_heads(float (&partial)[2][2], const u32 (&b)[D / 16u][4], const u16 *staged,
                                          const float *w, u32 head, u32 heads, u32 rows) {
    u32 lane = threadIdx.x & 31u;
    u32 a_row = shared_address(staged + (lane & 15u) * bf16_stride<D>() + (lane >> 4) * 8u);
    for (u32 row = 0; row < rows; row += HEAD_STEP) {
        float dots[2][2][4];
#pragma unroll
        for (u32 m = 0; m < 2u; ++m) {
#pragma unroll
            for (u32 i = 0; i < 4u; ++i) {
                dots[m][0][i] = 0.0f;
                dots[m][1][i] = 0.0f;
            }
        }
#pragma unroll
        for (u32 i = 0; i < D / 16u; ++i) {
#pragma unroll
            for (u32 m = 0; m < 2u; ++m) {
                u32 a[4];
                load_matrices(a, a_row + ((row + m * 16u) * bf16_stride<D>() + i * 16u) * 2u);
                multiply(dots[m][0], a, b[i][0], b[i][1]);
                multiply(dots[m][1], a, b[i][2], b[i][3]);
            }
        }
#pragma unroll
        for (u32 m = 0; m < 2u; ++m) {
            u32 upper = head + row + m * 16u + (lane >> 2);
            u32 lower = upper + 8u;
            float upper_weight = upper < heads ? __ldg(w + upper) : 0.0f;
            float lower_weight = lower < heads ? __ldg(w + lower) : 0.0f;
#pragma unroll
            for (u32 n = 0; n < 2u; ++n) {
#pragma unroll
                for (u32 c = 0; c < 2u; ++c) {
                    float so_far = fmaf(upper_weight, fmaxf(dots[m][n][c], 0.0f), partial[n][c]);
                    partial[n][c] = fmaf(lower_weight, fmaxf(dots[m][n][c + 2u], 0.0f), so_far);
                }
            }
        }
    }
}

// Sums over the eight lanes that share a column; the lane gets the score of key
// 8 * (lane / 16) + 2 * (lane % 4) + lane / 8 % 2, as does the lane with bit 2 the other way.
__device__ __forceinline__ float join_heads(const float (&partial)[2][2]) {
    u32 lane = threadIdx.x & 31u;
    bool far = lane & 16u;
    bool odd = lane & 8u;
    float column[2];
#pragma unroll
    for (u32 c = 0; c < 2u; ++c) {
        float give = far ? partial[0][c] : partial[1][c];
        column[c] = (far ? partial[1][c] : partial[0][c]) + __shfl_xor_sync(FULL_MASK, give, 16);
    }
    float give = odd ? column[0] : column[1];
    float sum = (odd ? column[1] : column[0]) + __shfl_xor_sync(FULL_MASK, give, 8);
    return sum + __shfl_xor_sync(FULL_MASK, sum, 4);
}

// Grid: (splits, batches), blocks of four warps. A block scores the slots [split * split_keys, + split_keys) and
// writes the key of each, zero outside the limits, and its statistics. It appends the new key if the slot is its
// own, and reads it from `fresh`.
// q [batches, heads, D], fresh [batches, D], cache [slots, batches, D] bf16; w [batches, heads] fp32;
// start, end [batches] i32; candidates [batches, slots] u64; split_max, split_sum [batches, splits] fp32.
// Dynamic shared memory, in this order: heads [min(64, heads rounded up to 32), D + 8] bf16; key tiles
// [STAGES, TILE_KEYS, D + 8] bf16. split_keys is a multiple of TILE_KEYS. The host's twin is in src/layout.rs.
template <u32 D>
__device__ __forceinline__ void decode_score(const u16 *q, u16 *cache, const u16 *fresh, const float *w,
                                             const int *start, const int *end, const u32 *position, u64 *candidates,
                                             float *split_max, float *split_sum, u32 slots, u32 batches, u32 heads,
                                             u32 split_keys) {
    __shared__ Statistics joined[WARPS];
    const u32 tile_cells = TILE_KEYS * bf16_stride<D>();
    u32 warp = threadIdx.x / LANES;
    u32 lane = threadIdx.x & 31u;
    u32 rows = min(STAGED_HEADS, (heads + HEAD_STEP - 1u) / HEAD_STEP * HEAD_STEP);
    u16 *staged = reinterpret_cast<u16 *>(shared_memory);
    u16 *tiles = staged + rows * bf16_stride<D>();

    u32 batch = blockIdx.y;
    q += (size_t)batch * heads * D;
    w += (size_t)batch * heads;
    fresh += (size_t)batch * D;
    candidates += (size_t)batch * slots;
    start_heads<D>(staged, q, 0, heads, rows);

    u32 at = __ldg(position + batch);
    u32 slot = at % slots;
    u32 length = at >= slots - 1u ? slots : at + 1u;
    Limits limits = clamp_limits(__ldg(start + batch), __ldg(end + batch), length);
    u32 first = blockIdx.x * split_keys;
    u32 last = min(first + split_keys, slots);
    if (slot >= first && slot < last && threadIdx.x < D / 8u) {
        u16 *to = cache + ((size_t)slot * batches + batch) * D;
        reinterpret_cast<uint4 *>(to)[threadIdx.x] = __ldg(reinterpret_cast<const uint4 *>(fresh) + threadIdx.x);
    }
    u32 low = max(limits.low, first);
    u32 high = min(limits.high, last);
    u32 first_tile = low < high ? low / TILE_KEYS : 0u;
    u32 last_tile = low < high ? (high + TILE_KEYS - 1u) / TILE_KEYS : 0u;
    for (u32 key = first + threadIdx.x; key < last; key += WARPS * LANES) {
        if (key < first_tile * TILE_KEYS || key >= last_tile * TILE_KEYS) {
            candidates[key] = 0;
        }
    }

    Statistics running = no_statistics();
#pragma unroll
    for (u32 i = 0; i < STAGES - 1u; ++i) {
        if (first_tile + i < last_tile) {
            start_tile<D>(tiles + i * tile_cells, cache, fresh, slot, (first_tile + i) * TILE_KEYS, slots, batches, batch);
        }
        commit_copies();
    }
    u32 stage = 0;
    for (u32 tile = first_tile; tile < last_tile; ++tile) {
        wait_copies<(int)STAGES - 2>();
        __syncthreads(); // the tile is there, and the one before it is free
        u32 ahead = tile + STAGES - 1u;
        u32 free_stage = stage == 0u ? STAGES - 1u : stage - 1u;
        if (ahead < last_tile) {
            start_tile<D>(tiles + free_stage * tile_cells, cache, fresh, slot, ahead * TILE_KEYS, slots, batches, batch);
        }
        commit_copies(); // an empty group at the end keeps the count of pending groups
        const u16 *keys = tiles + stage * tile_cells + warp * WARP_KEYS * bf16_stride<D>();
        u32 b_row = shared_address(keys + ((lane & 7u) + (lane >> 4) * 8u) * bf16_stride<D>() + ((lane >> 3) & 1u) * 8u);
        u32 b[D / 16u][4];
#pragma unroll
        for (u32 i = 0; i < D / 16u; ++i) {
            load_matrices(b[i], b_row + i * 32u);
        }
        float partial[2][2] = {{0.0f, 0.0f}, {0.0f, 0.0f}};
        add_heads<D>(partial, b, staged, w, 0, heads, rows);
        if (heads > STAGED_HEADS) {
            for (u32 head = STAGED_HEADS; head < heads + STAGED_HEADS; head += STAGED_HEADS) {
                // The last turn brings back the first heads.
                u32 from = head < heads ? head : 0u;
                __syncthreads();
                start_heads<D>(staged, q, from, heads, rows);
                commit_copies();
                wait_copies<0>();
                __syncthreads();
                if (from) {
                    add_heads<D>(partial, b, staged, w, from, heads, rows);
                }
            }
        }
        u32 key = tile * TILE_KEYS + warp * WARP_KEYS + (lane >> 4) * 8u + (lane & 3u) * 2u + ((lane >> 3) & 1u);
        float score = effective_score(join_heads(partial), key >= low && key < high);
        bool owner = !(lane & 4u);
        if (owner && key < last) {
            candidates[key] = candidate_key(score, key);
        }
        add_pair(running, owner ? score : negative_infinity(), negative_infinity());
        stage = stage == STAGES - 1u ? 0u : stage + 1u;
    }
    wait_copies<0>();

    Statistics mine = join_lanes(running);
    if (lane == 0) {
        joined[warp] = mine;
    }
    __syncthreads();
    if (threadIdx.x == 0) {
#pragma unroll
        for (u32 other = 1; other < WARPS; ++other) {
            add_partial(mine, joined[other]);
        }
        size_t cell = (size_t)batch * gridDim.x + blockIdx.x;
        split_max[cell] = mine.maximum;
        split_sum[cell] = mine.sum;
    }
}

#define DECODE_SCORE(D)                                                                                                \
    extern "C" __global__ void __launch_bounds__(128) decode_score_d##D(                                               \
        const u16 *q, u16 *cache, const u16 *fresh, const float *w, const int *start, const int *end,                  \
        const u32 *position, u64 *candidates, float *split_max, float *split_sum, u32 slots, u32 batches, u32 heads,   \
        u32 split_keys) {                                                                                              \
        decode_score<D>(q, cache, fresh, w, start, end, position, candidates, split_max, split_sum, slots, batches,    \
                        heads, split_keys);                                                                            \
    }

DECODE_SCORE(32)
DECODE_SCORE(64)
DECODE_SCORE(128)

// The block takes its stretch of `count` keys.
__device__ __forceinline__ void hold(u64 (&keys)[HELD_KEYS], const u64 *from, u32 first, u32 count) {
#pragma unroll
    for (u32 i = 0; i < HELD_KEYS; ++i) {
        u32 at = first + i * blockDim.x + threadIdx.x;
        keys[i] = at < count ? from[at] : 0ull;
    }
}

// Grid: (chunks, batches). Each block keeps the best `kept` of HELD_KEYS keys a thread, zero-filled, in no order.
// from [batches, count], to [batches, chunks, kept] u64. Dynamic shared memory: HeldShared.
extern "C" __global__ void __launch_bounds__(1024) decode_cut(const u64 *from, u64 *to, u32 count, u32 kept) {
    HeldShared *shared = reinterpret_cast<HeldShared *>(shared_memory);
    u64 keys[HELD_KEYS];
    hold(keys, from + (size_t)blockIdx.y * count, blockIdx.x * HELD_KEYS * blockDim.x, count);
    u64 *mine = to + ((size_t)blockIdx.y * gridDim.x + blockIdx.x) * kept;
    u64 bound = held_bound(keys, kept, shared);
    u32 picks = held_compact(keys, bound, mine, shared);
    for (u32 i = picks + threadIdx.x; i < kept; i += blockDim.x) {
        mine[i] = 0;
    }
}

// Grid: (batches). Selects and sorts the best of count <= HELD_KEYS * threads keys, joins the statistics of the
// splits, and advances the position, which every kernel before this one has read.
// from [batches, count] u64; split_max, split_sum [batches, splits] fp32; bits [batches, ceil(slots / 32)].
// Dynamic shared memory, in this order: HeldShared, two lists [power of two >= topk] u64.
extern "C" __global__ void __launch_bounds__(1024)
    decode_select(const u64 *from, const float *split_max, const float *split_sum, int *index, u16 *score,
                  float *maximum, float *sum, u32 *bits, u32 *position, u32 count, u32 splits, u32 slots, u32 topk) {
    HeldShared *shared = reinterpret_cast<HeldShared *>(shared_memory);
    u64 *list = reinterpret_cast<u64 *>(shared + 1);
    u32 batch = blockIdx.x;
    u64 keys[HELD_KEYS];
    hold(keys, from + (size_t)batch * count, 0, count);
    u32 words = (slots + 31u) / 32u;
    RowOutputs outputs;
    outputs.index = index + (size_t)batch * topk;
    outputs.score = score + (size_t)batch * topk;
    outputs.bits = bits + (size_t)batch * words;
    for (u32 i = threadIdx.x; i < words; i += blockDim.x) {
        outputs.bits[i] = 0;
    }
    if (threadIdx.x < LANES) {
        Statistics mine = no_statistics();
        for (u32 split = threadIdx.x; split < splits; split += LANES) {
            Statistics its;
            its.maximum = __ldg(split_max + (size_t)batch * splits + split);
            its.sum = __ldg(split_sum + (size_t)batch * splits + split);
            add_partial(mine, its);
        }
        Statistics joined = join_lanes(mine);
        if (threadIdx.x == 0) {
            maximum[batch] = joined.maximum;
            sum[batch] = joined.sum;
            position[batch] = position[batch] + 1u;
        }
    }
    u64 bound = held_bound(keys, topk, shared);
    u32 picks = held_compact(keys, bound, list, shared);
    __syncthreads();
    held_sort(list, list + power_of_two_at_least(topk), picks, shared);
    write_row(outputs, list, picks, topk, threadIdx.x, blockDim.x);
}
