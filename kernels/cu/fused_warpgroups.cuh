// A block of a fused lane on Hopper's tensor cores: wgmma on key tiles that a producer warpgroup keeps coming,
// four query rows of a block stationary in shared memory, streaming top-k without a scan.
//
// Keys are rows of the product and (query row, head) its columns, so that the sum over heads stays in
// a thread and its quad. Two warpgroups take tiles in turn; what becomes of a tile's scores waits until the
// warpgroup's next product is under way. Scores and statistics have one order, whichever warp is first; the order
// in which keys arrive in a list decides nothing, since each list is cut to its best keys and sorted.
#pragma once
#include "group_rank.cuh"
#include "mma.cuh"

#define ROWS 4u
#define ROW_HEADS 64u
#define COLUMNS (ROWS * ROW_HEADS)
#define WG_KEYS 64u
#define CONSUMERS (2u * WARPGROUP)
// Named barriers: one for each consumer warpgroup, one for both.
#define BOTH 3u

// Tiles that can come between a look at the lists and a cut.
#define LATE 7u

struct RowState {
    u64 bound;
    u32 count;
    Limits limits;
};

// What a tile is made of: bytes of an element, key tiles under way at once, whether each key has a scale, and the
// product of 32 bytes of each row and column.
struct Bf16 {
    static const u32 BYTES = 2u;
    static const u32 STAGES = 3u;
    static const bool SCALED = false;
    static __device__ __forceinline__ void multiply(float (&c)[128], u64 a, u64 b, u32 add) { wgmma_bf16(c, a, b, add); }
};
struct E4m3 {
    static const u32 BYTES = 1u;
    static const u32 STAGES = 6u;
    static const bool SCALED = true;
    static __device__ __forceinline__ void multiply(float (&c)[128], u64 a, u64 b, u32 add) { wgmma_e4m3(c, a, b, add); }
};
// Most stages of any.
#define MOST_STAGES 6u

struct BlockState {
    // The weights of the 16 columns that lanes 0 to 3 of a quad have in each row; 16 bytes of padding.
    float weights[ROWS][4][20];
    GroupScratch scratch[2];
    RowState row[ROWS];
    Statistics partial[CONSUMERS / LANES][ROWS];
    // Whether the lists must be cut after the step behind this one, by parity of the step.
    u32 crowded[2];
    u64 full[MOST_STAGES];
    u64 empty[MOST_STAGES];
    float scales[MOST_STAGES][WG_KEYS];
};
static_assert(sizeof(BlockState) <= 5632, "the host's room for it");

// Where 16 bytes of a row of a swizzled tile of `tile_rows` rows lie: piece 8 begins the second half.
__device__ __forceinline__ u32 swizzled(u32 tile_rows, u32 row, u32 piece) {
    u32 half = piece / 8u;
    return half * tile_rows * 128u + row * 128u + (((piece & 7u) ^ (row & 7u)) * 16u);
}

// Barrier on which a consumer warpgroup waits for its turn on the tensor cores.
#define TURN 4u

__device__ __forceinline__ void hand_over(u32 group) {
    asm volatile("bar.arrive %0, %1;" ::"r"(TURN + group), "n"(CONSUMERS) : "memory");
}

// Starts the warpgroup's product of a key tile with the queries, of `Deep` bytes, in its turn, and hands over: the other's
// product goes on where this one ends. Returns what `crowded` says then: later it may change.
template <typename Element, u32 Deep>
__device__ __forceinline__ u32 start_product(float (&c)[128], u32 keys, u32 queries, u32 group, bool last,
                                             const volatile u32 *crowded) {
    meet(TURN + group, CONSUMERS);
    u32 said = *crowded;
    pin(c);
    wgmma_fence();
#pragma unroll
    for (u32 i = 0; i < Deep / 32u; ++i) {
        u32 half = i / 4u;
        u32 step = (i % 4u) * 32u;
        Element::multiply(c, tile_descriptor(keys + half * WG_KEYS * 128u + step),
                          tile_descriptor(queries + half * COLUMNS * 128u + step), i);
    }
    wgmma_commit();
    if (!last) {
        hand_over(group ^ 1u);
    }
    return said;
}

// `yes` if `condition`, else `no`: chosen, where the compiler would branch round what makes `yes`.
__device__ __forceinline__ float choose(bool condition, float yes, float no) {
    float chosen;
    asm("{\n.reg .pred p;\nsetp.ne.u32 p, %1, 0;\nselp.f32 %0, %2, %3, p;\n}"
        : "=f"(chosen)
        : "r"((u32)condition), "f"(yes), "f"(no));
    return chosen;
}

// Adds two effective scores, as add_pair, with the same bits; new maxima are rare.
__device__ __forceinline__ void add_scores(Statistics &running, const float (&scores)[2]) {
    float maximum = fmaxf(running.maximum, fmaxf(scores[0], scores[1]));
    float a = choose(scores[0] > negative_infinity(), exp_difference(scores[0], maximum), 0.0f);
    float b = choose(scores[1] > negative_infinity(), exp_difference(scores[1], maximum), 0.0f);
    float scale = 1.0f;
    if (__any_sync(FULL_MASK, maximum > running.maximum)) {
        scale = exp_difference(running.maximum, maximum);
        running.maximum = maximum;
    }
    running.sum = fmaf(running.sum, scale, a + b);
}

// Two scores of one row: statistics, and offers to its list.
__device__ __forceinline__ void take_scores(const float (&sums)[2], u32 key, Limits limits, u32 bound, Statistics &running,
                                            u64 *list, u32 *count) {
    u32 lane = threadIdx.x & 31u;
    u32 row_lanes = 0x11111111u << (lane & 3u);
    float scores[2];
    u64 candidates[2];
    u32 passing[2];
#pragma unroll
    for (u32 i = 0; i < 2u; ++i) {
        u32 at = key + i * 8u;
        scores[i] = effective_score(sums[i], at >= limits.low && at < limits.high);
        candidates[i] = candidate_key(scores[i], at);
        bool pass = candidates[i] && (u32)(candidates[i] >> 32) >= bound;
        passing[i] = __ballot_sync(FULL_MASK, pass) & row_lanes;
    }
    // The sum goes on while the place in the list is on its way.
    u32 to = 0;
    u32 offers = (u32)(__popc(passing[0]) + __popc(passing[1]));
    if (lane < 4u && offers) {
        to = atomicAdd(count, offers);
    }
    add_scores(running, scores);
    to = __shfl_sync(FULL_MASK, to, lane & 3u);
    if (passing[0] >> lane & 1u) {
        list[to + __popc(passing[0] & lanes_below())] = candidates[0];
    }
    if (passing[1] >> lane & 1u) {
        list[to + __popc(passing[0]) + __popc(passing[1] & lanes_below())] = candidates[1];
    }
}

// One thread's part of a tile: the sums over heads of two keys in each row, of which the lane takes those
// of row `lane % 4`.
// `Halved`: of odd heads the weights are halves, and twice the relu comes from an addition, which another unit does than
// the maximum. Not for a NaN.
template <bool Halved>
__device__ __forceinline__ void sum_heads(float (&scores)[2], float (&c)[128], const float (&weights)[ROWS][4][20]) {
    u32 lane = threadIdx.x & 31u;
    float sums[2][ROWS];
#pragma unroll
    for (u32 row = 0; row < ROWS; ++row) {
        sums[0][row] = 0.0f;
        sums[1][row] = 0.0f;
#pragma unroll
        for (u32 part = 0; part < 4u; ++part) {
            float4 w = *reinterpret_cast<const float4 *>(&weights[row][lane & 3u][part * 4u]);
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
    // Bit 1 of the lane chooses between rows {0, 1} and {2, 3}, bit 0 within the pair.
    bool far = lane & 2u;
    bool odd = lane & 1u;
#pragma unroll
    for (u32 half = 0; half < 2u; ++half) {
        float pair[2];
#pragma unroll
        for (u32 r = 0; r < 2u; ++r) {
            float give = far ? sums[half][r] : sums[half][r + 2u];
            float keep = far ? sums[half][r + 2u] : sums[half][r];
            pair[r] = keep + __shfl_xor_sync(FULL_MASK, give, 2);
        }
        float give = odd ? pair[0] : pair[1];
        scores[half] = (odd ? pair[1] : pair[0]) + __shfl_xor_sync(FULL_MASK, give, 1);
    }
}

// Grid: (ceil(queries / 4), batches), blocks of three warpgroups. Buffers and results as fused.cu, at
// most 64 heads; with E4m3 q and k are in that format, and a score is multiplied with its key's `scale`
// [keys, batches]. Dynamic shared memory, from a multiple of 1,024 on, rows of at least 128 bytes: STAGES key
// tiles of 64 rows and 4 * 64 queries, both swizzled; lists [4, capacity] u64; BlockState.
// 2048 <= capacity <= HELD * 128, and capacity >= topk + 8 * 64. The host's twin is in src/layout.rs.
template <typename Element, u32 D>
__device__ __forceinline__ void fused_warpgroups(const unsigned char *q, const unsigned char *k, const float *scale,
                                                 const float *w, const int *start, const int *end, int *index,
                                                 u16 *score, float *maximum, float *sum, u32 *bits, u32 queries,
                                                 u32 keys, u32 batches, u32 heads, u32 topk, u32 capacity) {
    const u32 stages = Element::STAGES;
    const u32 deep = D * Element::BYTES;
    const u32 wide = deep < 128u ? 128u : deep; // what a row has past `deep` is never read
    const u32 tile_bytes = WG_KEYS * wide;
    const u32 pieces = deep / 16u;
    unsigned char *shared = shared_memory + ((1024u - (shared_address(shared_memory) & 1023u)) & 1023u);
    u32 tiles = shared_address(shared);
    unsigned char *query_tile = shared + stages * tile_bytes;
    u64 *lists = reinterpret_cast<u64 *>(query_tile + COLUMNS * wide);
    BlockState *block = reinterpret_cast<BlockState *>(lists + ROWS * capacity);
    u32 full = shared_address(block->full);
    u32 empty = shared_address(block->empty);

    // From a lane's register, so that the compiler knows it to be one value for the warp.
    u32 group = __shfl_sync(FULL_MASK, threadIdx.x / WARPGROUP, 0);
    u32 rank = threadIdx.x % WARPGROUP;
    u32 lane = threadIdx.x & 31u;
    u32 batch = blockIdx.y;
    u32 first_row = blockIdx.x * ROWS;

    u32 low = keys;
    u32 high = 0;
    Limits limits[ROWS];
#pragma unroll
    for (u32 r = 0; r < ROWS; ++r) {
        limits[r].low = 0;
        limits[r].high = 0;
        if (first_row + r < queries) {
            size_t cell = (size_t)batch * queries + first_row + r;
            limits[r] = clamp_limits(__ldg(start + cell), __ldg(end + cell), keys);
            low = limits[r].low < limits[r].high ? min(low, limits[r].low) : low;
            high = limits[r].low < limits[r].high ? max(high, limits[r].high) : high;
        }
    }
    // Even, so that which warpgroup has a tile does not depend on the rows beside a row.
    u32 first_tile = low / WG_KEYS & ~1u;
    u32 last_tile = (high + WG_KEYS - 1u) / WG_KEYS;
    // An even number: behind the last tile comes one with no key inside the limits.
    u32 count = first_tile < last_tile ? (last_tile - first_tile + 1u) & ~1u : 0u;

    if (threadIdx.x == 0) {
        for (u32 s = 0; s < stages; ++s) {
            barrier_init(full + s * 8u, WARPGROUP);
            barrier_init(empty + s * 8u, WARPGROUP / LANES);
        }
        block->crowded[0] = 0;
        block->crowded[1] = 0;
        for (u32 r = 0; r < ROWS; ++r) {
            block->row[r].bound = 0;
            block->row[r].count = 0;
        }
    }
    // The queries; missing rows and heads are zero.
    for (u32 i = threadIdx.x; i < COLUMNS * pieces; i += blockDim.x) {
        u32 column = i / pieces;
        u32 piece = i % pieces;
        u32 row = first_row + column / ROW_HEADS;
        u32 head = column % ROW_HEADS;
        uint4 value = make_uint4(0, 0, 0, 0);
        if (row < queries && head < heads) {
            const unsigned char *from = q + (((size_t)row * batches + batch) * heads + head) * deep + piece * 16u;
            value = __ldg(reinterpret_cast<const uint4 *>(from));
        }
        *reinterpret_cast<uint4 *>(query_tile + swizzled(COLUMNS, column, piece)) = value;
    }
    for (u32 i = threadIdx.x; i < COLUMNS; i += blockDim.x) {
        u32 row = first_row + i / ROW_HEADS;
        u32 head = i % ROW_HEADS;
        bool there = row < queries && head < heads;
        float weight = there ? __ldg(w + ((size_t)row * batches + batch) * heads + head) : 0.0f;
        block->weights[i / ROW_HEADS][head % 8u / 2u][head / 8u * 2u + head % 2u] =
            Element::SCALED && head % 2u ? weight * 0.5f : weight;
    }
    publish_shared();
    __syncthreads();

    if (group == 2u) {
        give_registers<40>();
        // A tile is published when the next one is on its way.
        for (u32 i = 0; i <= count; ++i) {
            if (i < count) {
                u32 stage = i % stages;
                barrier_wait(empty + stage * 8u, ((i / stages) & 1u) ^ 1u);
                u32 base = (first_tile + i) * WG_KEYS;
#pragma unroll
                for (u32 j = 0; j < WG_KEYS * pieces / WARPGROUP; ++j) {
                    u32 at = j * WARPGROUP + rank;
                    u32 row = at / pieces;
                    u32 piece = at % pieces;
                    u32 key = min(base + row, keys - 1u); // a key past the end repeats the last one
                    copy_async(tiles + stage * tile_bytes + swizzled(WG_KEYS, row, piece),
                               k + ((size_t)key * batches + batch) * deep + piece * 16u);
                }
                if (Element::SCALED && rank < WG_KEYS) {
                    copy_word_async(shared_address(&block->scales[stage][rank]),
                                    scale + (size_t)min(base + rank, keys - 1u) * batches + batch);
                }
            }
            commit_copies();
            if (i) {
                wait_copies<1>();
                publish_shared();
                barrier_arrive(full + (i - 1u) % stages * 8u);
            }
        }
        return;
    }

    take_registers<232>();
    u32 query_address = shared_address(query_tile);
    u32 my_row = lane & 3u;
    Limits my_limits = limits[0];
#pragma unroll
    for (u32 r = 1; r < ROWS; ++r) {
        my_limits.low = my_row == r ? limits[r].low : my_limits.low;
        my_limits.high = my_row == r ? limits[r].high : my_limits.high;
    }
    u32 my_key = (rank / LANES) * 16u + lane / 4u;
    u64 *my_list = lists + my_row * capacity;
    u32 *my_count = &block->row[my_row].count;
    u32 bound = 0;
    Statistics running = no_statistics();

    // Keys that a cut may leave beside the best: a quarter of the room.
    u32 more = (capacity - topk - (LATE + 1u) * WG_KEYS) / 4u;
    // Steps of two tiles, one for each warpgroup, in turn. What a tile's scores lead to waits for the next step.
    u32 steps = count / 2u;
    float c[128];
    float scores[2] = {negative_infinity(), negative_infinity()};
    u32 key = 0;
    if (group == 1u && steps) {
        hand_over(0);
    }
    for (u32 step = 0; step < steps; ++step) {
        u32 tile = step * 2u + group;
        u32 stage = tile % stages;
        barrier_wait(full + stage * 8u, (tile / stages) & 1u);
        // Whether to cut after this step, as the first warpgroup said at the end of its last step: both read the
        // same word.
        u32 cut = start_product<Element, deep>(c, tiles + stage * tile_bytes, query_address, group,
                                               group == 1u && step + 1u == steps, &block->crowded[(step + 1u) & 1u]);
        take_scores(scores, key, my_limits, bound, running, my_list, my_count);
        wgmma_wait<0>();
        pin(c);
        float near_scale = 1.0f;
        float far_scale = 1.0f;
        if (Element::SCALED) {
            near_scale = block->scales[stage][my_key];
            far_scale = block->scales[stage][my_key + 8u];
        }
        __syncwarp();
        if (lane == 0) {
            barrier_arrive(empty + stage * 8u);
        }
        sum_heads<Element::SCALED>(scores, c, block->weights);
        if (Element::SCALED) {
            scores[0] *= near_scale;
            scores[1] *= far_scale;
        }
        key = (first_tile + tile) * WG_KEYS + my_key;
        if (cut) {
            meet(BOTH, CONSUMERS);
#pragma unroll 1
            for (u32 r = 2u * group; r < 2u * group + 2u; ++r) {
                u32 mine = block->row[r].count;
                if (mine > topk) {
                    Left left = group_rough_cut(lists + r * capacity, mine, topk, more, &block->scratch[group],
                                                1u + group);
                    if (rank == 0) {
                        block->row[r].bound = left.bound;
                        block->row[r].count = left.count;
                    }
                }
            }
            meet(BOTH, CONSUMERS);
            bound = (u32)(block->row[my_row].bound >> 32);
        }
        // Until a cut that the next such look asks for, this warpgroup offers three tiles at most, that of the last
        // step, of this one and of the next, and the other one that of the step before these too.
        if (threadIdx.x == 0) {
            u32 most = 0;
#pragma unroll
            for (u32 r = 0; r < ROWS; ++r) {
                most = max(most, *(volatile u32 *)&block->row[r].count);
            }
            block->crowded[step & 1u] = most + LATE * WG_KEYS > capacity;
        }
    }
    take_scores(scores, key, my_limits, bound, running, my_list, my_count);

    // Statistics: lanes of one row, then warps in order.
    Statistics joined = running;
    float largest = joined.maximum;
#pragma unroll
    for (u32 step = 16; step >= ROWS; step >>= 1) {
        largest = fmaxf(largest, __shfl_xor_sync(FULL_MASK, largest, step));
    }
    joined.sum = joined.sum * exp_difference(joined.maximum, largest);
    joined.maximum = largest;
#pragma unroll
    for (u32 step = 16; step >= ROWS; step >>= 1) {
        joined.sum = joined.sum + __shfl_xor_sync(FULL_MASK, joined.sum, step);
    }
    if (lane < ROWS) {
        block->partial[threadIdx.x / LANES][lane] = joined;
    }
    meet(BOTH, CONSUMERS);

    // Each warpgroup ends two rows, where tiles and queries were.
    static_assert(2u * sizeof(RankScratch) <= stages * tile_bytes + COLUMNS * wide, "room for both");
#pragma unroll 1
    for (u32 r = 2u * group; r < 2u * group + 2u; ++r) {
        u32 row = first_row + r;
        if (row >= queries) {
            break;
        }
        size_t cell = (size_t)batch * queries + row;
        RowOutputs outputs;
        outputs.index = index + cell * topk;
        outputs.score = score + cell * topk;
        outputs.bits = bits + cell * ((keys + 31u) / 32u);
        rank_row(outputs, lists + r * capacity, block->row[r].count, topk,
                 reinterpret_cast<RankScratch *>(shared) + group, &block->scratch[group], 1u + group);
        if (rank == 0) {
            Statistics all = block->partial[0][r];
            for (u32 warp = 1; warp < CONSUMERS / LANES; ++warp) {
                add_partial(all, block->partial[warp][r]);
            }
            maximum[cell] = all.maximum;
            sum[cell] = all.sum;
        }
    }
}
