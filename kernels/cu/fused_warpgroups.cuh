// A block of a fused lane on Hopper's tensor cores: wgmma on key tiles that the copy engine brings by a tensor map,
// four query rows of a block stationary in shared memory, streaming top-k without a scan.
//
// Keys are rows of the product and (query row, head) its columns, so that the sum over heads stays in a thread and its
// quad. Of four warpgroups two take the even tiles and two the odd ones, of each two one half of the rows: what one does
// with its scores goes on beside the products of the others, and what becomes of them waits until its own next product is
// under way. The two that share rows share their lists, and cut them when they are full, while the other two go on.
// The weights take much of what shared memory can give, beside the products: a thread keeps as many as it has registers for.
// Scores and statistics have one order, whichever warp is first; the order in which keys arrive in a list decides
// nothing, since each list is cut to its best keys and sorted.
#pragma once
#include "fused_tile.cuh"

// Grid: (ceil(queries / 4), batches), blocks of five warpgroups. Buffers and results as fused.cu, at most 64 heads; `k` is
// the tensor map of the keys, [keys, batches, D] in boxes of 64 keys of one batch and 128 bytes of each, swizzled by 128
// bytes. With E4m3 q and k are in that format, and a score is multiplied with its key's `scale` [keys, batches]. Dynamic
// shared memory, from a multiple of 1,024 on, rows of at least 128 bytes: key tiles of 64 rows, 768 bytes of each row, and
// 4 * 64 queries, both swizzled; lists [4, capacity] u64; BlockState.
// 2048 <= capacity <= HELD * 128, and capacity >= topk + 8 * 64. The host's twin is in src/layout.rs.
template <typename Element, u32 D>
__device__ __forceinline__ void fused_warpgroups(const unsigned char *q, const TensorMap *k, const float *scale,
                                                 const float *w, const int *start, const int *end, int *index,
                                                 u16 *score, float *maximum, float *sum, u32 *bits, u32 queries,
                                                 u32 keys, u32 batches, u32 heads, u32 topk, u32 capacity) {
    const u32 deep = D * Element::BYTES;
    const u32 wide = deep < 128u ? 128u : deep; // what a row has past `deep` is zero, or never read
    const u32 stages = STAGED_BYTES / wide;
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
#pragma unroll
    for (u32 r = 0; r < ROWS; ++r) {
        if (first_row + r < queries) {
            size_t cell = (size_t)batch * queries + first_row + r;
            Limits of = clamp_limits(__ldg(start + cell), __ldg(end + cell), keys);
            low = of.low < of.high ? min(low, of.low) : low;
            high = of.low < of.high ? max(high, of.high) : high;
        }
    }
    // Even, so that which warpgroup has a tile does not depend on the rows beside a row.
    u32 first_tile = low / WG_KEYS & ~1u;
    u32 last_tile = (high + WG_KEYS - 1u) / WG_KEYS;
    // An even number: behind the last tile comes one with no key inside the limits.
    u32 count = first_tile < last_tile ? (last_tile - first_tile + 1u) & ~1u : 0u;

    if (threadIdx.x == 0) {
        for (u32 s = 0; s < stages; ++s) {
            barrier_init(full + s * 8u, 1u);
            barrier_init(full + (stages + s) * 8u, 1u);
            barrier_init(empty + s * 8u, TILE_WARPS);
        }
        for (u32 r = 0; r < ROWS; ++r) {
            block->row[r].bound = 0;
            block->row[r].count = 0;
        }
    }
    // The queries; missing rows and heads are zero.
    for (u32 i = threadIdx.x; i < COLUMNS * pieces; i += CONSUMERS + WARPGROUP) {
        u32 column = i / pieces;
        u32 piece = i % pieces;
        u32 row = first_row + column / ROW_HEADS;
        u32 head = column % ROW_HEADS;
        unsigned char *to = query_tile + swizzled(COLUMNS, column, piece);
        if (row < queries && head < heads) {
            copy_async(shared_address(to), q + (((size_t)row * batches + batch) * heads + head) * deep + piece * 16u);
        } else {
            *reinterpret_cast<uint4 *>(to) = make_uint4(0, 0, 0, 0);
        }
    }
    commit_copies();
    for (u32 i = threadIdx.x; i < COLUMNS; i += CONSUMERS + WARPGROUP) {
        u32 row = first_row + i / ROW_HEADS;
        u32 head = i % ROW_HEADS;
        bool there = row < queries && head < heads;
        float weight = there ? __ldg(w + ((size_t)row * batches + batch) * heads + head) : 0.0f;
        block->weights[i / ROW_HEADS][head % 8u / 2u][head / 8u * 2u + head % 2u] =
            Element::SCALED && head % 2u ? weight * 0.5f : weight;
    }
    wait_copies<0>();
    publish_shared();
    __syncthreads();

    if (group == CONSUMERS / WARPGROUP) {
        give_registers<24>();
        for (u32 tile = 0; rank == 0 && tile < count; ++tile) {
            u32 stage = tile % stages;
            barrier_wait(empty + stage * 8u, (tile / stages & 1u) ^ 1u);
            start_tile<Element, wide>(tiles + stage * tile_bytes, k, batch, (first_tile + tile) * WG_KEYS,
                                      full + tile % (2u * stages) * 8u);
        }
        return;
    }

    take_registers<112>();
    // Of the tiles every other one, and of the rows a half.
    u32 parity = group / 2u;
    u32 half = group & 1u;
    u32 my_row = half * HALF_ROWS + (lane & 1u);
    u32 my_key = (rank / LANES) * 16u + lane / 4u + (lane & 2u) * 4u;
    u32 query_address = shared_address(query_tile) + half * HALF_COLUMNS * 128u;
    const float(*my_weights)[4][20] = block->weights + half * HALF_ROWS;
    float kept_weights[KEPT_WEIGHTS];
    keep_weights(kept_weights, my_weights);
    u64 *my_list = lists + my_row * capacity;
    u32 *my_count = &block->row[my_row].count;
    Limits my_limits;
    my_limits.low = 0;
    my_limits.high = 0;
    if (first_row + my_row < queries) {
        size_t cell = (size_t)batch * queries + first_row + my_row;
        my_limits = clamp_limits(__ldg(start + cell), __ldg(end + cell), keys);
    }
    u32 bound = 0;
    Statistics running = no_statistics();

    // Keys that a cut may leave beside the best: a quarter of the room.
    u32 more = (capacity - topk - (LEAST_STEPS + 1u) * STEP_KEYS) / 4u;
    // Steps of two tiles, one for each parity. What a tile's scores lead to waits for the next step.
    u32 steps = count / 2u;
    float c[64];
    float score_sum = negative_infinity();
    u32 key = 0;
    // Steps until the pair looks at its lists.
    u32 until = capacity / STEP_KEYS;
    for (u32 step = 0; step < steps; ++step) {
        u32 tile = step * 2u + parity;
        u32 stage = tile % stages;
        // Of two barriers for each stage: tiles may arrive out of order, and a barrier tells one phase from the next only.
        barrier_wait(full + tile % (2u * stages) * 8u, tile / (2u * stages) & 1u);
        start_product<Element, deep>(c, tiles + stage * tile_bytes, query_address);
        take_score(score_sum, key, my_limits, bound, running, my_list, my_count);
        float scaled = 1.0f;
        if (Element::SCALED) {
            scaled = __ldg(scale + (size_t)min((first_tile + tile) * WG_KEYS + my_key, keys - 1u) * batches + batch);
        }
        wgmma_wait<0>();
        pin(c);
        __syncwarp();
        if (lane == 0) {
            barrier_arrive(empty + stage * 8u);
        }
        score_sum = sum_heads<Element::SCALED>(c, kept_weights, my_weights);
        if (Element::SCALED) {
            score_sum *= scaled;
        }
        key = (first_tile + tile) * WG_KEYS + my_key;
        // So many steps have room, whatever they bring: what this step brought comes with the next one. The two
        // warpgroups of the rows decide alike, since both read the counts while neither adds to them.
        if (--until == 0) {
            for (;;) {
                meet(PAIR + half, 2u * WARPGROUP);
                const RowState *rows = block->row + half * HALF_ROWS;
                u32 most = max(*(const volatile u32 *)&rows[0].count, *(const volatile u32 *)&rows[1].count);
                bound = (u32)(*(const volatile u64 *)&block->row[my_row].bound >> 32);
                until = (capacity - most) / STEP_KEYS;
                meet(PAIR + half, 2u * WARPGROUP);
                if (until >= LEAST_STEPS) {
                    break;
                }
                RowState *mine = block->row + half * HALF_ROWS + parity;
                if (mine->count > topk) {
                    Left left = group_rough_cut<Element::HELD>(lists + (half * HALF_ROWS + parity) * capacity, mine->count,
                                                               topk, more, &block->scratch[group], 1u + group);
                    if (rank == 0) {
                        mine->bound = left.bound;
                        mine->count = left.count;
                    }
                }
            }
            keep_weights(kept_weights, my_weights); // a cut has the registers to itself
        }
    }
    take_score(score_sum, key, my_limits, bound, running, my_list, my_count);

    // Statistics: lanes of one row, then warps in order.
    Statistics joined = running;
    float largest = joined.maximum;
#pragma unroll
    for (u32 step = 16; step >= 4u; step >>= 1) {
        largest = fmaxf(largest, __shfl_xor_sync(FULL_MASK, largest, step));
    }
    joined.sum = joined.sum * exp_difference(joined.maximum, largest);
    joined.maximum = largest;
#pragma unroll
    for (u32 step = 16; step >= 4u; step >>= 1) {
        joined.sum = joined.sum + __shfl_xor_sync(FULL_MASK, joined.sum, step);
    }
    if (lane < HALF_ROWS) {
        block->partial[parity * 4u + rank / LANES][my_row] = joined;
    }
    meet(ALL, CONSUMERS);

    // Each warpgroup ends a row, and counts where tiles and queries were.
    static_assert(4u * sizeof(RankScratch) <= stages * tile_bytes + COLUMNS * wide, "room for all");
    u32 row = first_row + group;
    if (row >= queries) {
        return;
    }
    size_t cell = (size_t)batch * queries + row;
    RowOutputs outputs;
    outputs.index = index + cell * topk;
    outputs.score = score + cell * topk;
    outputs.bits = bits + cell * ((keys + 31u) / 32u);
    if (rank == 0) {
        Statistics all = block->partial[0][group];
        for (u32 warp = 1; warp < 8u; ++warp) {
            add_partial(all, block->partial[warp][group]);
        }
        maximum[cell] = all.maximum;
        sum[cell] = all.sum;
    }
    rank_row<Element::HELD>(outputs, lists + group * capacity, block->row[group].count, topk,
                            reinterpret_cast<RankScratch *>(shared) + group, &block->scratch[group], 1u + group);
}
