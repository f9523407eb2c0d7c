// Little kernels of the planted faults (src/faults/): each is as short as the bug allows.
// One thread handles one element unless said otherwise.
#include "common.cuh"

__device__ __forceinline__ u32 thread_index() { return blockIdx.x * blockDim.x + threadIdx.x; }

// Stands for the order in which blocks happen to arrive. A real race would do, but not on a device
// that runs blocks one after the other; the clock differs from run to run on every device.
__device__ __forceinline__ u32 arrival_luck() {
    u64 now;
    asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(now));
    return (u32)((now >> 5) * 2654435761ull >> 7);
}

// y = x * factor
extern "C" __global__ void scale(const float *x, float *y, float factor, u32 n) {
    u32 i = thread_index();
    if (i < n) {
        y[i] = x[i] * factor;
    }
}

// y = x * *factor: the factor is read when the kernel runs.
extern "C" __global__ void scale_by(const float *x, float *y, const float *factor, u32 n) {
    u32 i = thread_index();
    if (i < n) {
        y[i] = x[i] * *factor;
    }
}

// As scale_by, for more elements than threads: the grid does not depend on n.
extern "C" __global__ void scale_strided(const float *x, float *y, float factor, u32 n) {
    for (u32 i = thread_index(); i < n; i += gridDim.x * blockDim.x) {
        y[i] = x[i] * factor;
    }
}

// y = x + *table: the address stands in memory.
extern "C" __global__ void add_through(const float *const *table, const float *x, float *y, u32 n) {
    u32 i = thread_index();
    if (i < n) {
        y[i] = x[i] + (*table)[i];
    }
}

// Word 0: the address of 16-byte aligned floats without its low 4 bits, and a factor above bit 48.
struct Description {
    unsigned long long word[2];
};

// y = x * factor, both of a description that is passed by value.
extern "C" __global__ void scale_described(const Description described, float *y, u32 n) {
    u32 i = thread_index();
    const float *x = (const float *)((described.word[0] & 0xffffffffffffull) << 4);
    if (i < n) {
        y[i] = x[i] * (float)(described.word[0] >> 48);
    }
}

__device__ __forceinline__ float noise(u32 seed, u32 position) {
    u32 h = position * 2654435761u ^ seed;
    h ^= h >> 15;
    h *= 2246822519u;
    h ^= h >> 13;
    return (float)(h & 0xffffu) / 65536.0f;
}

// y = x + noise, the offset given by value.
extern "C" __global__ void add_noise(const float *x, float *y, u32 seed, u32 offset, u32 n) {
    u32 i = thread_index();
    if (i < n) {
        y[i] = x[i] + noise(seed, offset + i);
    }
}

// y = x + noise, the offset read from the device and advanced by the last thread.
extern "C" __global__ void add_noise_at(const float *x, float *y, u32 seed, const u32 *offset, u32 n) {
    u32 i = thread_index();
    if (i < n) {
        y[i] = x[i] + noise(seed, *offset + i);
    }
}

// *counter += by. One thread.
extern "C" __global__ void advance(u32 *counter, u32 by) { *counter += by; }

// *flag = 1, visible to the host. One thread.
extern "C" __global__ void raise_flag(volatile u32 *flag) {
    *flag = 1u;
    __threadfence_system();
}

// x = x * 2 in place.
extern "C" __global__ void double_in_place(float *x, u32 n) {
    u32 i = thread_index();
    if (i < n) {
        x[i] = x[i] * 2.0f;
    }
}

// total[0] = sum of x in the order first, first + 1, ... modulo n: fp32 addition depends on it.
// One thread. first_come: the order of arrival.
extern "C" __global__ void sum_rotated(const float *x, float *total, u32 first_come, u32 n) {
    u32 first = first_come ? arrival_luck() % n : 0u;
    float sum = 0.0f;
    for (u32 i = 0; i < n; ++i) {
        sum += x[(first + i) % n];
    }
    *total = sum;
}

// *y = 2 * *x, by the block of one thread that comes first; `arrivals` is 0 before and after. Blocks from `busy` on
// have no element, and leave before that duty.
extern "C" __global__ void first_block_writes(const float *x, float *y, u32 *arrivals, u32 busy) {
    u32 turn = atomicInc(arrivals, gridDim.x - 1u);
    if (blockIdx.x >= busy) {
        return;
    }
    if (turn == 0u) {
        *y = *x * 2.0f;
    }
}

// *total += sum of x. One thread.
extern "C" __global__ void accumulate_sum(const float *x, float *total, u32 n) {
    float sum = *total;
    for (u32 i = 0; i < n; ++i) {
        sum += x[i];
    }
    *total = sum;
}

// y[row] = x[map[row]] for the rows of a padded batch. bounded: indices are clamped on the device.
extern "C" __global__ void gather_rows(const float *x, const int *map, float *y, u32 bounded, u32 rows, u32 blocks) {
    u32 row = thread_index();
    if (row < rows) {
        int at = map[row];
        if (bounded) {
            at = min(max(at, 0), (int)blocks - 1);
        }
        y[row] = x[at];
    }
}

// schedule[block] = the batch in which the block's share of the total length begins. One thread.
// guarded: stops at the last batch also where the total is zero.
extern "C" __global__ void balance(const int *lengths, int *schedule, u32 guarded, u32 batches, u32 blocks) {
    int total = 0;
    for (u32 i = 0; i < batches; ++i) {
        total += lengths[i];
    }
    for (u32 block = 0; block < blocks; ++block) {
        int share = (int)((long long)total * block / blocks);
        u32 at = 0;
        int before = 0;
        // With a total of zero no prefix ever exceeds the share.
        while (!(guarded && at + 1 >= batches) && before + lengths[at] <= share) {
            before += lengths[at];
            ++at;
        }
        schedule[block] = (int)at;
    }
}

// splits[0] = how many splits of 256 keys the row needs. One thread.
extern "C" __global__ void plan_splits(const int *length, u32 *splits) {
    u32 keys = (u32)max(*length, 0);
    *splits = (keys + 255u) / 256u;
}

// best[0] = the largest of the first `length` scores, over as many splits as the plan says. One thread.
extern "C" __global__ void split_max(const float *scores, const int *length, const u32 *splits, float *best) {
    float most = negative_infinity();
    u32 keys = min((u32)max(*length, 0), *splits * 256u);
    for (u32 i = 0; i < keys; ++i) {
        most = fmaxf(most, scores[i]);
    }
    *best = most;
}

// running[0] = max(running[0], scores); best[0] = running[0]. One thread.
extern "C" __global__ void running_max(const float *scores, float *running, float *best, u32 n) {
    float most = *running;
    for (u32 i = 0; i < n; ++i) {
        most = fmaxf(most, scores[i]);
    }
    *running = most;
    *best = most;
}

// *value = number. One thread.
extern "C" __global__ void set_value(float *value, float number) { *value = number; }

// Partial sums of the blocks; the block that arrives last adds them up. One thread a block.
// wraps: the arrival count is taken modulo the number of blocks, so that no launch has to reset it.
extern "C" __global__ void sum_by_last_block(const float *x, float *partial, u32 *arrived, float *total, u32 wraps,
                                             u32 width) {
    float sum = 0.0f;
    for (u32 i = 0; i < width; ++i) {
        sum += x[blockIdx.x * width + i];
    }
    partial[blockIdx.x] = sum;
    __threadfence();
    u32 ticket = atomicAdd(arrived, 1u);
    bool last = (wraps ? ticket % gridDim.x : ticket) == gridDim.x - 1u;
    if (last) {
        __threadfence();
        float all = 0.0f;
        for (u32 block = 0; block < gridDim.x; ++block) {
            all += ((volatile float *)partial)[block];
        }
        *total = all;
    }
}

// picks = indices of the scores above the threshold, in a buffer of `capacity` cells; what finds no
// room is dropped. The picks are counted. One thread. first_come: taken in the order of arrival.
extern "C" __global__ void collect_above(const float *scores, int *picks, u32 *count, float threshold, u32 first_come,
                                         u32 capacity, u32 n) {
    u32 first = first_come ? arrival_luck() % n : 0u;
    u32 found = 0;
    for (u32 i = 0; i < n; ++i) {
        u32 at = (first + i) % n;
        if (scores[at] > threshold && found < capacity) {
            picks[found++] = (int)at;
        }
    }
    for (u32 i = found; i < capacity; ++i) {
        picks[i] = -1;
    }
    *count = found;
}

// best[0..keep) = indices of the largest scores; of equal ones the first met wins. One thread.
// first_come: met in the order of arrival, else in the order of the index.
extern "C" __global__ void pick_largest(const float *scores, int *best, u32 first_come, u32 keep, u32 n) {
    u32 first = first_come ? arrival_luck() % n : 0u;
    for (u32 pick = 0; pick < keep; ++pick) {
        int chosen = -1;
        for (u32 i = 0; i < n; ++i) {
            int at = (int)((first + i) % n);
            bool taken = false;
            for (u32 earlier = 0; earlier < pick; ++earlier) {
                taken |= best[earlier] == at;
            }
            if (!taken && (chosen < 0 || scores[at] > scores[chosen])) {
                chosen = at;
            }
        }
        best[pick] = chosen;
    }
}

// Picks of a row: those with a score above zero, then nothing. One thread.
// padded: the rest of the row is filled with -1.
extern "C" __global__ void positive_picks(const float *scores, int *picks, u32 padded, u32 keep, u32 n) {
    u32 found = 0;
    for (u32 i = 0; i < n && found < keep; ++i) {
        if (scores[i] > 0.0f) {
            picks[found++] = (int)i;
        }
    }
    for (u32 i = found; padded && i < keep; ++i) {
        picks[i] = -1;
    }
}
