// Kernels for sm_90a, each with what only Hopper has; run.py holds them against numpy. The functions of PTX and the
// products (`product_*`) come before this text: run.py writes them.

#define NONE 0xffffffffu

// Loads a box of two dimensions, and tells `bar` of its bytes.
DEV void load_2d(u32 to, const Map *map, int x, int y, u32 bar) {
    asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%2, %3}], [%4];"
                 ::"r"(to), "l"(map), "r"(x), "r"(y), "r"(bar) : "memory");
}

DEV void load_2d_to(u32 to, const Map *map, int x, int y, u32 bar, u16 mask) {
    asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster [%0], "
                 "[%1, {%2, %3}], [%4], %5;" ::"r"(to), "l"(map), "r"(x), "r"(y), "r"(bar), "h"(mask) : "memory");
}

DEV void store_2d(const Map *map, int x, int y, u32 from) {
    asm volatile("cp.async.bulk.tensor.2d.global.shared::cta.bulk_group [%0, {%1, %2}], [%3];"
                 ::"l"(map), "r"(x), "r"(y), "r"(from) : "memory");
}

DEV void add_2d(const Map *map, int x, int y, u32 from) {
    asm volatile("cp.reduce.async.bulk.tensor.2d.global.shared::cta.add.bulk_group [%0, {%1, %2}], [%3];"
                 ::"l"(map), "r"(x), "r"(y), "r"(from) : "memory");
}

// Two bytes of a tile with rows of 128 bytes, swizzled by 128 bytes.
DEV u32 swizzled(u32 row, u32 byte) { return row * 128u + (byte ^ (row & 7u) * 16u); }

// A descriptor of rows of 128 bytes, swizzled by 128.
DEV u64 rows_of_128(u32 at) { return (u64)((at & 0x3ffffu) >> 4) | 1ull << 16 | 64ull << 32 | 1ull << 62; }

extern __shared__ u8 dynamic[];
DEV u8 *aligned_memory() { return dynamic + ((1024u - (address(dynamic) & 1023u)) & 1023u); }

// out[i] = 2 in[i] + i, in chunks of 256 words that come and go in bulk, four stages deep. 64 threads.
extern "C" __global__ void bulk_pipeline(const float *in, float *out, u32 chunks) {
    __shared__ alignas(128) float tile[4][256];
    __shared__ alignas(8) u64 full[4];
    if (threadIdx.x == 0) {
        for (u32 s = 0; s < 4; ++s) init(address(full + s), 1);
        for (u32 c = 0; c < 4 && c < chunks; ++c) {
            expect(address(full + c), 1024);
            bulk_load(address(tile[c]), in + c * 256, 1024, address(full + c));
        }
    }
    __syncthreads();
    for (u32 c = 0; c < chunks; ++c) {
        u32 s = c % 4;
        wait(address(full + s), c / 4 & 1);
        for (u32 i = threadIdx.x; i < 256; i += 64) tile[s][i] = tile[s][i] * 2.0f + (float)(c * 256 + i);
        fence_async();
        __syncthreads();
        if (threadIdx.x == 0) {
            bulk_store(out + c * 256, address(tile[s]), 1024);
            commit();
            wait_read<0>();
            if (c + 4 < chunks) {
                expect(address(full + s), 1024);
                bulk_load(address(tile[s]), in + (c + 4) * 256, 1024, address(full + s));
            }
        }
    }
    if (threadIdx.x == 0) wait_all_stores();
}

// out[0..128] += the block's 128 words: blocks add in the copy engine.
extern "C" __global__ void bulk_add(const u32 *in, u32 *out) {
    __shared__ alignas(128) u32 tile[128];
    tile[threadIdx.x] = in[blockIdx.x * 128 + threadIdx.x];
    fence_async();
    __syncthreads();
    if (threadIdx.x == 0) {
        asm volatile("cp.reduce.async.bulk.global.shared::cta.bulk_group.add.u32 [%0], [%1], 512;" ::"l"(out),
                     "r"(address(tile)) : "memory");
        commit();
        wait_all_stores();
    }
}

// A 2D tensor goes through shared memory: box 64 x 32 of singles, what lies outside is dropped.
extern "C" __global__ void tensor_copy(const __grid_constant__ Map from, const __grid_constant__ Map to) {
    __shared__ alignas(128) float tile[32 * 64];
    __shared__ alignas(8) u64 bar;
    u32 full = address(&bar);
    if (threadIdx.x == 0) {
        init(full, 1);
        expect(full, sizeof tile);
        load_2d(address(tile), &from, blockIdx.x * 64, blockIdx.y * 32, full);
    }
    __syncthreads();
    wait(full, 0);
    if (threadIdx.x == 0) {
        store_2d(&to, blockIdx.x * 64, blockIdx.y * 32, address(tile));
        commit();
        wait_all_stores();
    }
}

// Transposes tiles of 64 x 64 halves, swizzled by 128 bytes both ways. 256 threads.
extern "C" __global__ void tensor_transpose(const __grid_constant__ Map from, const __grid_constant__ Map to) {
    __shared__ alignas(1024) u8 a[64 * 128], b[64 * 128];
    __shared__ alignas(8) u64 bar;
    u32 full = address(&bar);
    if (threadIdx.x == 0) {
        init(full, 1);
        expect(full, sizeof a);
        load_2d(address(a), &from, blockIdx.x * 64, blockIdx.y * 64, full);
    }
    __syncthreads();
    wait(full, 0);
    for (u32 i = threadIdx.x; i < 64 * 64; i += 256) {
        u32 row = i / 64, column = i % 64;
        *(u16 *)(b + swizzled(row, column * 2)) = *(u16 *)(a + swizzled(column, row * 2));
    }
    fence_async();
    __syncthreads();
    if (threadIdx.x == 0) {
        store_2d(&to, blockIdx.y * 64, blockIdx.x * 64, address(b));
        commit();
        wait_all_stores();
    }
}

// A five-point sum of 24 x 30 cells from a box of 32 x 32 that begins outside the tensor: four cells to the left, since a
// box begins at a multiple of 16 bytes. 256 threads.
extern "C" __global__ void tensor_stencil(const __grid_constant__ Map from, float *out, u32 width, u32 height) {
    __shared__ alignas(128) float tile[32][32];
    __shared__ alignas(8) u64 bar;
    u32 full = address(&bar);
    if (threadIdx.x == 0) {
        init(full, 1);
        expect(full, sizeof tile);
        load_2d(address(tile), &from, (int)blockIdx.x * 24 - 4, (int)blockIdx.y * 30 - 1, full);
    }
    __syncthreads();
    wait(full, 0);
    for (u32 i = threadIdx.x; i < 720; i += 256) {
        u32 x = i % 24 + 4, y = i / 24 + 1, gx = blockIdx.x * 24 + i % 24, gy = blockIdx.y * 30 + i / 24;
        if (gx < width && gy < height) {
            out[gy * width + gx] =
                tile[y][x] + tile[y][x - 1] + tile[y][x + 1] + tile[y - 1][x] + tile[y + 1][x];
        }
    }
}

// Each plane of a 3D tensor is scaled by its number. 128 threads, a plane box of 16 x 16.
extern "C" __global__ void tensor_planes(const __grid_constant__ Map from, const __grid_constant__ Map to) {
    __shared__ alignas(128) float tile[4][16][16];
    __shared__ alignas(8) u64 bar;
    u32 full = address(&bar);
    if (threadIdx.x == 0) {
        init(full, 1);
        expect(full, sizeof tile);
        asm volatile("cp.async.bulk.tensor.3d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%2, %3, %4}], "
                     "[%5];" ::"r"(address(tile)), "l"(&from), "r"(blockIdx.x * 16), "r"(blockIdx.y * 16),
                     "r"(blockIdx.z * 4), "r"(full) : "memory");
    }
    __syncthreads();
    wait(full, 0);
    for (u32 i = threadIdx.x; i < 1024; i += 128) (&tile[0][0][0])[i] *= (float)(blockIdx.z * 4 + i / 256);
    fence_async();
    __syncthreads();
    if (threadIdx.x == 0) {
        asm volatile("cp.async.bulk.tensor.3d.global.shared::cta.bulk_group [%0, {%1, %2, %3}], [%4];" ::"l"(&to),
                     "r"(blockIdx.x * 16), "r"(blockIdx.y * 16), "r"(blockIdx.z * 4), "r"(address(tile)) : "memory");
        commit();
        wait_all_stores();
    }
}

// Writes a warpgroup's 64 x 64 sums.
DEV void write_sums(const float (&d)[32], float *c, u32 row, u32 column, u32 n, float scale) {
    u32 lane = threadIdx.x % 32, warp = threadIdx.x % 128 / 32;
    for (u32 i = 0; i < 32; ++i) {
        u32 r = row + warp * 16 + lane / 4 + i / 2 % 2 * 8, k = column + i / 4 * 8 + lane % 4 * 2 + i % 2;
        c[(size_t)r * n + k] = d[i] * scale;
    }
}

enum Kind { BF16, F16_TRANSPOSED, TF32, FP8 };

template <Kind K>
DEV void multiply_step(float (&d)[32], u32 a, u32 b, u32 i, u32 adds) {
    if (K == BF16) product_bf16(d, rows_of_128(a + i * 32), rows_of_128(b + i * 32), adds);
    if (K == F16_TRANSPOSED) product_f16_t(d, rows_of_128(a + i * 32), rows_of_128(b + i * 2048), adds);
    if (K == TF32) product_tf32(d, rows_of_128(a + i * 32), rows_of_128(b + i * 32), adds);
    if (K == FP8) product_fp8(d, rows_of_128(a + i * 32), rows_of_128(b + i * 32), adds);
}

// C = A B of 64 x 64 tiles, 128 bytes of K at a time, one warpgroup, three stages. B has K along its rows, or is
// transposed. Elements of K in 128 bytes: `step`.
template <Kind K>
DEV void simple_product(const Map *a, const Map *b, float *c, u32 n, u32 steps, u32 step, float scale) {
    u8 *memory = aligned_memory();
    __shared__ alignas(8) u64 full[3];
    u32 base = address(memory);
    auto load = [&](u32 i) {
        u32 s = i % 3, bar = address(full + s), at = base + s * 16384;
        expect(bar, 16384);
        load_2d(at, a, i * step, blockIdx.y * 64, bar);
        if (K == F16_TRANSPOSED) load_2d(at + 8192, b, blockIdx.x * 64, i * step, bar);
        else load_2d(at + 8192, b, i * step, blockIdx.x * 64, bar);
    };
    if (threadIdx.x == 0) {
        for (u32 s = 0; s < 3; ++s) init(address(full + s), 1);
        fence_init();
        for (u32 i = 0; i < 2 && i < steps; ++i) load(i);
    }
    __syncthreads();
    float d[32];
    for (u32 i = 0; i < 32; ++i) d[i] = 0.0f;
    for (u32 i = 0; i < steps; ++i) {
        if (threadIdx.x == 0 && i + 2 < steps) load(i + 2);
        u32 s = i % 3, at = base + s * 16384;
        wait(address(full + s), i / 3 & 1);
        product_fence();
        for (u32 k = 0; k < 4; ++k) multiply_step<K>(d, at, at + 8192, k, 1);
        product_commit();
        product_wait<0>();
        __syncthreads();
    }
    write_sums(d, c, blockIdx.y * 64, blockIdx.x * 64, n, scale);
}

#define SIMPLE(name, kind, step)                                                                                       \
    extern "C" __global__ void __launch_bounds__(128)                                                                  \
        name(const __grid_constant__ Map a, const __grid_constant__ Map b, float *c, u32 n, u32 steps, float scale) {  \
        simple_product<kind>(&a, &b, c, n, steps, step, scale);                                                        \
    }
SIMPLE(product_of_bf16, BF16, 64)
SIMPLE(product_of_f16_by_rows, F16_TRANSPOSED, 64)
SIMPLE(product_of_tf32, TF32, 32)
SIMPLE(product_of_fp8, FP8, 128)

// Bytes, sums of 32 bits; 64 x 64 tiles.
extern "C" __global__ void __launch_bounds__(128)
    product_of_s8(const __grid_constant__ Map a, const __grid_constant__ Map b, int *c, u32 n, u32 steps) {
    u8 *memory = aligned_memory();
    __shared__ alignas(8) u64 full;
    u32 base = address(memory), bar = address(&full);
    if (threadIdx.x == 0) init(bar, 1);
    __syncthreads();
    int d[32];
    for (u32 i = 0; i < 32; ++i) d[i] = 0;
    for (u32 i = 0; i < steps; ++i) {
        if (threadIdx.x == 0) {
            expect(bar, 16384);
            load_2d(base, &a, i * 128, blockIdx.y * 64, bar);
            load_2d(base + 8192, &b, i * 128, blockIdx.x * 64, bar);
        }
        wait(bar, i & 1);
        product_fence();
        for (u32 k = 0; k < 4; ++k) product_s8(d, rows_of_128(base + k * 32), rows_of_128(base + 8192 + k * 32), 1);
        product_commit();
        product_wait<0>();
        __syncthreads();
    }
    u32 lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    for (u32 i = 0; i < 32; ++i) {
        u32 r = blockIdx.y * 64 + warp * 16 + lane / 4 + i / 2 % 2 * 8;
        c[(size_t)r * n + blockIdx.x * 64 + i / 4 * 8 + lane % 4 * 2 + i % 2] = d[i];
    }
}

// A warp-specialised product: the first warpgroup copies, two multiply 64 rows each, four stages; sums leave as bf16 by
// stmatrix and the copy engine. 384 threads, tiles of 128 x 64.
extern "C" __global__ void __launch_bounds__(384, 1)
    product_specialised(const __grid_constant__ Map a, const __grid_constant__ Map b, const __grid_constant__ Map c, u32 steps) {
    const u32 stage = 16384 + 8192;
    u8 *memory = aligned_memory();
    __shared__ alignas(8) u64 full[4], empty[4];
    u32 base = address(memory);
    u32 group = __shfl_sync(NONE, threadIdx.x / 128, 0);
    if (threadIdx.x == 0) {
        for (u32 s = 0; s < 4; ++s) {
            init(address(full + s), 1);
            init(address(empty + s), 2);
        }
        fence_init();
    }
    __syncthreads();
    if (group == 0) {
        asm volatile("setmaxnreg.dec.sync.aligned.u32 40;");
        if (threadIdx.x / 32 == 0 && elected()) {
            for (u32 i = 0; i < steps; ++i) {
                u32 s = i % 4, at = base + s * stage, bar = address(full + s);
                wait(address(empty + s), (i / 4 & 1) ^ 1);
                expect(bar, stage);
                load_2d(at, &a, i * 64, blockIdx.y * 128, bar);
                load_2d(at + 16384, &b, i * 64, blockIdx.x * 64, bar);
            }
        }
        return;
    }
    asm volatile("setmaxnreg.inc.sync.aligned.u32 232;");
    float d[32];
    for (u32 i = 0; i < 32; ++i) d[i] = 0.0f;
    for (u32 i = 0; i < steps; ++i) {
        u32 s = i % 4, at = base + s * stage;
        wait(address(full + s), i / 4 & 1);
        product_fence();
        for (u32 k = 0; k < 4; ++k) {
            product_bf16(d, rows_of_128(at + (group - 1) * 8192 + k * 32), rows_of_128(at + 16384 + k * 32), i + k);
        }
        product_commit();
        product_wait<0>();
        if (threadIdx.x % 128 == 0) arrive(address(empty + s));
    }
    // The tile of this warpgroup: 64 rows of 64 bf16 without swizzle, behind the stages.
    u32 tile = base + 4 * stage + (group - 1) * 8192;
    u32 lane = threadIdx.x % 32, warp = threadIdx.x % 128 / 32;
    for (u32 j = 0; j < 4; ++j) {
        u32 row = warp * 16 + lane % 16, at = tile + row * 128 + j * 32 + lane / 16 * 16;
        u32 w[4];
        for (u32 i = 0; i < 4; ++i) w[i] = pack_bf16(d[j * 8 + i * 2], d[j * 8 + i * 2 + 1]);
        asm volatile("stmatrix.sync.aligned.m8n8.x4.shared.b16 [%0], {%1, %2, %3, %4};" ::"r"(at), "r"(w[0]), "r"(w[1]),
                     "r"(w[2]), "r"(w[3]) : "memory");
    }
    fence_async();
    asm volatile("bar.sync %0, 128;" ::"r"(group));
    if (threadIdx.x % 128 == 0) {
        store_2d(&c, blockIdx.x * 64, blockIdx.y * 128 + (group - 1) * 64, tile);
        commit();
        wait_all_stores();
    }
}

// A from registers: C = relu(A) B, relu on the way. 64 x 64 tiles of f16.
extern "C" __global__ void __launch_bounds__(128)
    product_from_registers(const __grid_constant__ Map a, const __grid_constant__ Map b, float *c, u32 n, u32 steps) {
    u8 *memory = aligned_memory();
    __shared__ alignas(8) u64 full;
    u32 base = address(memory), bar = address(&full);
    if (threadIdx.x == 0) init(bar, 1);
    __syncthreads();
    u32 lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    float d[32];
    for (u32 i = 0; i < 32; ++i) d[i] = 0.0f;
    for (u32 i = 0; i < steps; ++i) {
        if (threadIdx.x == 0) {
            expect(bar, 16384);
            load_2d(base, &a, i * 64, blockIdx.y * 64, bar);
            load_2d(base + 8192, &b, i * 64, blockIdx.x * 64, bar);
        }
        wait(bar, i & 1);
        u32 r[4][4];
        for (u32 k = 0; k < 4; ++k) {
            for (u32 j = 0; j < 4; ++j) {
                u32 row = warp * 16 + lane / 4 + j % 2 * 8, byte = k * 32 + j / 2 * 16 + lane % 4 * 4;
                u32 word = *(u32 *)(memory + swizzled(row, byte));
                asm("max.f16x2 %0, %1, %2;" : "=r"(r[k][j]) : "r"(word), "r"(0u));
            }
        }
        product_fence();
        for (u32 k = 0; k < 4; ++k) product_f16_r(d, r[k], rows_of_128(base + 8192 + k * 32), 1);
        product_commit();
        product_wait<0>();
        __syncthreads();
    }
    write_sums(d, c, blockIdx.y * 64, blockIdx.x * 64, n, 1.0f);
}

// Split along K: each block adds its part of the sums by the copy engine. 64 x 64 tiles of bf16, sums of singles in boxes
// of 32 columns.
extern "C" __global__ void __launch_bounds__(128)
    product_split(const __grid_constant__ Map a, const __grid_constant__ Map b, const __grid_constant__ Map c, u32 steps) {
    u8 *memory = aligned_memory();
    __shared__ alignas(8) u64 full;
    u32 base = address(memory), bar = address(&full);
    if (threadIdx.x == 0) init(bar, 1);
    __syncthreads();
    float d[32];
    for (u32 i = 0; i < steps; ++i) {
        u32 k0 = (blockIdx.z * steps + i) * 64;
        if (threadIdx.x == 0) {
            expect(bar, 16384);
            load_2d(base, &a, k0, blockIdx.y * 64, bar);
            load_2d(base + 8192, &b, k0, blockIdx.x * 64, bar);
        }
        wait(bar, i & 1);
        product_fence();
        for (u32 k = 0; k < 4; ++k) product_bf16(d, rows_of_128(base + k * 32), rows_of_128(base + 8192 + k * 32), i + k);
        product_commit();
        product_wait<0>();
        __syncthreads();
    }
    u32 lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    for (u32 i = 0; i < 32; ++i) {
        u32 row = warp * 16 + lane / 4 + i / 2 % 2 * 8, column = i / 4 * 8 + lane % 4 * 2 + i % 2;
        *(float *)(memory + column / 32 * 8192 + row * 128 + column % 32 * 4) = d[i];
    }
    fence_async();
    __syncthreads();
    if (threadIdx.x == 0) {
        add_2d(&c, blockIdx.x * 64, blockIdx.y * 64, base);
        add_2d(&c, blockIdx.x * 64 + 32, blockIdx.y * 64, base + 8192);
        commit();
        wait_all_stores();
    }
}

// Two blocks of a cluster share B: each loads half of its tile for both. 64 x 64 tiles of bf16.
extern "C" __global__ void __cluster_dims__(1, 2, 1) __launch_bounds__(128)
    product_multicast(const __grid_constant__ Map a, const __grid_constant__ Map half_b, float *c, u32 n, u32 steps) {
    u8 *memory = aligned_memory();
    __shared__ alignas(8) u64 full;
    u32 base = address(memory), bar = address(&full), rank = cluster_rank();
    if (threadIdx.x == 0) init(bar, 1);
    fence_init();
    meet_cluster();
    float d[32];
    for (u32 i = 0; i < 32; ++i) d[i] = 0.0f;
    for (u32 i = 0; i < steps; ++i) {
        if (threadIdx.x == 0) {
            expect(bar, 16384);
            load_2d(base, &a, i * 64, blockIdx.y * 64, bar);
            load_2d_to(base + 8192 + rank * 4096, &half_b, i * 64, blockIdx.x * 64 + rank * 32, bar, 3);
        }
        wait(bar, i & 1);
        product_fence();
        for (u32 k = 0; k < 4; ++k) product_bf16(d, rows_of_128(base + k * 32), rows_of_128(base + 8192 + k * 32), 1);
        product_commit();
        product_wait<0>();
        meet_cluster();
    }
    write_sums(d, c, blockIdx.y * 64, blockIdx.x * 64, n, 1.0f);
}

// Sums of rows by a cluster of four: each block has a quarter; block 0 reads the others' parts. 128 threads.
extern "C" __global__ void cluster_row_sums(const float *in, float *out, u32 length) {
    __shared__ float part[4], all;
    u32 rank = cluster_rank(), row = blockIdx.x / 4, quarter = length / 4;
    float sum = 0.0f;
    for (u32 i = threadIdx.x; i < quarter; i += 128) sum += in[(size_t)row * length + rank * quarter + i];
    for (u32 step = 16; step; step >>= 1) sum += __shfl_xor_sync(NONE, sum, step);
    if (threadIdx.x % 32 == 0) part[threadIdx.x / 32] = sum;
    __syncthreads();
    if (threadIdx.x == 0) all = part[0] + part[1] + part[2] + part[3];
    meet_cluster();
    if (rank == 0 && threadIdx.x == 0) {
        float total = 0.0f;
        for (u32 r = 0; r < 4; ++r) total += read_remote(remote(address(&all), r));
        out[row] = total;
    }
    meet_cluster();
}

// A histogram whose 1024 bins lie in the four blocks of a cluster. 256 threads.
extern "C" __global__ void cluster_histogram(const u32 *in, u32 *out, u32 count) {
    __shared__ u32 bins[256];
    bins[threadIdx.x] = 0;
    meet_cluster();
    u32 rank = cluster_rank();
    for (u32 i = rank * 256 + threadIdx.x; i < count; i += 1024) {
        u32 bin = in[i] % 1024, to = remote(address(bins + bin % 256), bin / 256);
        asm volatile("red.relaxed.cluster.shared::cluster.add.u32 [%0], 1;" ::"r"(to) : "memory");
    }
    meet_cluster();
    out[rank * 256 + threadIdx.x] = bins[threadIdx.x];
}

// A ring: each block of a cluster hands its words to the next by st.async, which tells that block's mbarrier. 32 threads.
extern "C" __global__ void cluster_ring(const u32 *in, u32 *out) {
    __shared__ u32 got[32];
    __shared__ alignas(8) u64 bar;
    u32 rank = cluster_rank(), size = cluster_size(), full = address(&bar);
    if (threadIdx.x == 0) {
        init(full, 1);
        expect(full, 128);
    }
    meet_cluster();
    u32 next = (rank + 1) % size;
    asm volatile("st.async.shared::cluster.mbarrier::complete_tx::bytes.u32 [%0], %1, [%2];" ::
                     "r"(remote(address(got + threadIdx.x), next)), "r"(in[blockIdx.x * 32 + threadIdx.x]),
                     "r"(remote(full, next)) : "memory");
    wait(full, 0);
    out[blockIdx.x * 32 + threadIdx.x] = got[threadIdx.x];
    meet_cluster();
}

// Causal attention, 64 dimensions of bf16: a block has 64 queries, keys and values come 64 at a time in two stages, scores stay
// in registers and go into the second product from there.
extern "C" __global__ void __launch_bounds__(128)
    attention(const __grid_constant__ Map q, const __grid_constant__ Map k, const __grid_constant__ Map v, float *out, float scale) {
    u8 *memory = aligned_memory();
    __shared__ alignas(8) u64 bars[3];
    u32 base = address(memory), queries = base, lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    u32 count = blockIdx.x + 1;
    auto load = [&](u32 i) {
        u32 bar = address(bars + i % 2), at = base + 8192 + i % 2 * 16384;
        expect(bar, 16384);
        load_2d(at, &k, 0, i * 64, bar);
        load_2d(at + 8192, &v, 0, i * 64, bar);
    };
    if (threadIdx.x == 0) {
        for (u32 s = 0; s < 3; ++s) init(address(bars + s), 1);
        fence_init();
        expect(address(bars + 2), 8192);
        load_2d(queries, &q, 0, blockIdx.x * 64, address(bars + 2));
        load(0);
    }
    __syncthreads();
    wait(address(bars + 2), 0);
    float o[32], s[32], most[2] = {-1e30f, -1e30f}, sum[2] = {0.0f, 0.0f};
    for (u32 i = 0; i < 32; ++i) o[i] = 0.0f;
    for (u32 i = 0; i < count; ++i) {
        if (threadIdx.x == 0 && i + 1 < count) load(i + 1);
        u32 at = base + 8192 + i % 2 * 16384;
        wait(address(bars + i % 2), i / 2 & 1);
        product_fence();
        for (u32 j = 0; j < 4; ++j) product_bf16(s, rows_of_128(queries + j * 32), rows_of_128(at + j * 32), j);
        product_commit();
        product_wait<0>();
        for (u32 h = 0; h < 2; ++h) {
            u32 row = warp * 16 + lane / 4 + h * 8;
            float top = most[h];
            for (u32 e = 0; e < 32; ++e) {
                if (e / 2 % 2 != h) continue;
                u32 key = e / 4 * 8 + lane % 4 * 2 + e % 2;
                s[e] = i + 1 == count && key > row ? -1e30f : s[e] * scale;
                top = fmaxf(top, s[e]);
            }
            top = fmaxf(top, __shfl_xor_sync(NONE, top, 1));
            top = fmaxf(top, __shfl_xor_sync(NONE, top, 2));
            float shrink = exp2f(most[h] - top), more = 0.0f;
            for (u32 e = 0; e < 32; ++e) {
                if (e / 2 % 2 != h) continue;
                s[e] = exp2f(s[e] - top);
                more += s[e];
                o[e] *= shrink;
            }
            more += __shfl_xor_sync(NONE, more, 1);
            more += __shfl_xor_sync(NONE, more, 2);
            sum[h] = sum[h] * shrink + more;
            most[h] = top;
        }
        u32 p[4][4];
        for (u32 j = 0; j < 16; ++j) p[j / 4][j % 4] = pack_bf16(s[2 * j], s[2 * j + 1]);
        for (u32 e = 0; e < 32; ++e) keep(o[e]);
        product_fence();
        for (u32 j = 0; j < 4; ++j) product_bf16_rt(o, p[j], rows_of_128(at + 8192 + j * 2048), 1);
        product_commit();
        product_wait<0>();
        __syncthreads();
    }
    for (u32 e = 0; e < 32; ++e) {
        u32 row = blockIdx.x * 64 + warp * 16 + lane / 4 + e / 2 % 2 * 8;
        out[(size_t)row * 64 + e / 4 * 8 + lane % 4 * 2 + e % 2] = o[e] / sum[e / 2 % 2];
    }
}
