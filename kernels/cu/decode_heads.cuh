// The scores of a tile of keys by one block of the decode lane: heads in registers, keys in shared memory, mma.sync.
#pragma once
#include "mma.cuh"
#include "select.cuh"

#define WARPS 4u
#define STAGES 3u
// Heads in shared memory and in registers at once.
#define STAGED_HEADS 64u
// Scores of a split among which its bound is: the best two of each thread.
#define COUNTED (2u * TILE_KEYS)

// Where the keys of a batch lie: one behind another, beside those of the other batches.
template <u32 D> struct DenseKeys {
    u16 *cache;
    u32 batches;
    u32 batch;

    // The key of slot 0, as if all lay as those of the tile of `slot` do.
    __device__ __forceinline__ u16 *base(u32) const { return cache + (size_t)batch * D; }
    // Elements from one key to the next.
    __device__ __forceinline__ size_t stride() const { return (size_t)batches * D; }
};

// Likewise: in pages of `page` keys, a multiple of TILE_KEYS, of which the row's block table says which has what slots.
template <u32 D> struct PagedKeys {
    u16 *pages;
    const u32 *table;
    u32 page;
    u32 most; // pages that there are

    __device__ __forceinline__ u16 *base(u32 slot) const {
        u32 at = slot / page;
        // Unchecked by the host: clamp it here.
        long long behind = (long long)min(__ldg(table + at), most - 1u) - (long long)at;
        return pages + behind * page * D;
    }
    __device__ __forceinline__ size_t stride() const { return D; }
};

// The block starts the copy of a key tile. A key past the end repeats the last one; the key of `slot` is `fresh`.
template <u32 D, typename Keys>
__device__ __forceinline__ void start_tile(u16 *tile, const Keys &keys, const u16 *fresh, u32 slot, u32 first, u32 slots) {
    const u32 pieces = D / 8u;
    const u16 *base = keys.base(first);
#pragma unroll
    for (u32 i = threadIdx.x; i < TILE_KEYS * pieces; i += WARPS * LANES) {
        u32 row = i / pieces;
        u32 piece = i % pieces;
        u32 key = min(first + row, slots - 1u);
        const u16 *from = key == slot ? fresh : base + key * keys.stride();
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

// What a warp has of the heads at hand, half of `Heads`: their vectors as the tensor core takes them, and the weights of the
// heads 8 * i + lane / 4 of them; 0 for one that is missing.
template <u32 D, u32 Heads> struct HeldHeads {
    u32 a[Heads / 32u][D / 16u][4];
    float weights[Heads / 16u];

    __device__ __forceinline__ void load(const u16 *staged, const float *w, u32 head, u32 heads) {
        u32 lane = threadIdx.x & 31u;
        u32 half = threadIdx.x / LANES / 2u * (Heads / 2u);
        u32 row = shared_address(staged + (half + (lane & 15u)) * bf16_stride<D>() + (lane >> 4) * 8u);
#pragma unroll
        for (u32 m = 0; m < Heads / 32u; ++m) {
#pragma unroll
            for (u32 i = 0; i < D / 16u; ++i) {
                load_matrices(a[m][i], row + (m * 16u * bf16_stride<D>() + i * 16u) * 2u);
            }
        }
#pragma unroll
        for (u32 i = 0; i < Heads / 16u; ++i) {
            u32 at = head + half + i * 8u + (lane >> 2);
            weights[i] = at < heads ? __ldg(w + at) : 0.0f;
        }
    }

    // Adds the heads to the partial scores of the warp's half of a tile: partial[n][c] is of key
    // 8 * n + 2 * (lane % 4) + c, summed over the heads lane / 4 modulo 8.
    __device__ __forceinline__ void add(float (&partial)[4][2], const u16 *keys) const {
        u32 lane = threadIdx.x & 31u;
        u32 row = shared_address(keys + ((lane & 7u) + (lane >> 4) * 8u) * bf16_stride<D>() + ((lane >> 3) & 1u) * 8u);
        float dots[Heads / 32u][4][4];
#pragma unroll
        for (u32 m = 0; m < Heads / 32u; ++m) {
#pragma unroll
            for (u32 i = 0; i < 16u; ++i) {
                dots[m][i / 4u][i % 4u] = 0.0f;
            }
        }
#pragma unroll
        for (u32 i = 0; i < D / 16u; ++i) {
            u32 b[2][4];
            load_matrices(b[0], row + i * 32u);
            load_matrices(b[1], row + (16u * bf16_stride<D>() + i * 16u) * 2u);
#pragma unroll
            for (u32 m = 0; m < Heads / 32u; ++m) {
#pragma unroll
                for (u32 n = 0; n < 4u; ++n) {
                    multiply(dots[m][n], a[m][i], b[n / 2u][n % 2u * 2u], b[n / 2u][n % 2u * 2u + 1u]);
                }
            }
        }
#pragma unroll
        for (u32 m = 0; m < Heads / 32u; ++m) {
#pragma unroll
            for (u32 n = 0; n < 4u; ++n) {
#pragma unroll
                for (u32 c = 0; c < 2u; ++c) {
                    float so_far = fmaf(weights[m * 2u], fmaxf(dots[m][n][c], 0.0f), partial[n][c]);
                    partial[n][c] = fmaf(weights[m * 2u + 1u], fmaxf(dots[m][n][c + 2u], 0.0f), so_far);
                }
            }
        }
    }
};

// Sums over the eight lanes that share a column; the lane gets the sum of key
// 16 * (lane / 16) + 8 * (lane / 8 % 2) + 2 * (lane % 4) + lane / 4 % 2.
__device__ __forceinline__ float join_heads(const float (&partial)[4][2]) {
    u32 lane = threadIdx.x & 31u;
    bool far = lane & 16u;
    bool next = lane & 8u;
    bool odd = lane & 4u;
    float pair[2][2];
#pragma unroll
    for (u32 n = 0; n < 2u; ++n) {
#pragma unroll
        for (u32 c = 0; c < 2u; ++c) {
            float give = far ? partial[n][c] : partial[n + 2u][c];
            pair[n][c] = (far ? partial[n + 2u][c] : partial[n][c]) + __shfl_xor_sync(FULL_MASK, give, 16);
        }
    }
    float column[2];
#pragma unroll
    for (u32 c = 0; c < 2u; ++c) {
        float give = next ? pair[0][c] : pair[1][c];
        column[c] = (next ? pair[1][c] : pair[0][c]) + __shfl_xor_sync(FULL_MASK, give, 8);
    }
    float give = odd ? column[0] : column[1];
    return (odd ? column[1] : column[0]) + __shfl_xor_sync(FULL_MASK, give, 4);
}

// Four words of shared memory. By name: how the compiler joins such reads is not the same each time it runs.
__device__ __forceinline__ uint4 load_four(u32 address) {
    uint4 four;
    asm volatile("ld.shared.v4.u32 {%0, %1, %2, %3}, [%4];"
                 : "=r"(four.x), "=r"(four.y), "=r"(four.z), "=r"(four.w)
                 : "r"(address)
                 : "memory");
    return four;
}

// The thread's value if at least `wanted` of the block's reach it, else 0.
__device__ __forceinline__ u32 reached_by(const u32 (&values)[COUNTED], u32 wanted) {
    u32 mine = values[threadIdx.x];
    u32 from = shared_address(values);
    u32 reach = 0;
#pragma unroll 8
    for (u32 i = 0; i < COUNTED; i += 4u) {
        uint4 four = load_four(from + i * 4u);
        reach += (four.x >= mine ? 1u : 0u) + (four.y >= mine ? 1u : 0u) + (four.z >= mine ? 1u : 0u) +
                 (four.w >= mine ? 1u : 0u);
    }
    return reach >= wanted ? mine : 0u;
}

// The scores of a block so far.
struct SplitScores {
    Statistics running;
    // The best two of the thread's, in the order of keys.
    u32 best;
    u32 second;

    __device__ __forceinline__ void add(float sum, u32 key, u32 low, u32 high, u32 last, u32 *orders) {
        float score = effective_score(sum, key >= low && key < high);
        u32 order = (u32)(candidate_key(score, key) >> 32);
        if (key < last) {
            orders[key] = order;
        }
        second = max(second, min(best, order));
        best = max(best, order);
        add_pair(running, score, negative_infinity());
    }
};
