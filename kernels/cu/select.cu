// Top-k of a score matrix and the additive mask made from it: the tail of the materialized and
// the streamed lanes.
#include "block_select.cuh"

struct ScoreRow {
    const float *scores;
    u32 low;
    __device__ __forceinline__ u64 operator()(u32 i) const {
        return candidate_key(effective_score(scores[low + i], true), low + i);
    }
};

// Grid: (queries, batches). scores [batches, queries, keys] fp32; start, end [batches, queries]
// i32; index, score [batches, queries, topk].
extern "C" __global__ void __launch_bounds__(256)
    topk_rows(const float *scores, const int *start, const int *end, int *index, u16 *score, u32 queries, u32 keys,
              u32 topk) {
    size_t cell = (size_t)blockIdx.y * queries + blockIdx.x;
    Limits limits = clamp_limits(__ldg(start + cell), __ldg(end + cell), keys);
    ScoreRow source;
    source.scores = scores + cell * keys;
    source.low = limits.low;
    RowOutputs outputs;
    outputs.index = index + cell * topk;
    outputs.score = score + cell * topk;
    outputs.bits = nullptr;
    select_row(source, limits.high - limits.low, topk, outputs, shared_memory);
}

// Grid: any. mask [cells] fp32 becomes -inf everywhere.
extern "C" __global__ void __launch_bounds__(256) mask_fill(float *mask, u64 cells) {
    u64 stride = (u64)gridDim.x * blockDim.x;
    for (u64 i = (u64)blockIdx.x * blockDim.x + threadIdx.x; i < cells; i += stride) {
        mask[i] = negative_infinity();
    }
}

// Grid: (queries, batches). mask [batches, queries, keys] becomes 0 at the picks.
extern "C" __global__ void __launch_bounds__(256)
    mask_scatter(float *mask, const int *index, u32 queries, u32 keys, u32 topk) {
    size_t cell = (size_t)blockIdx.y * queries + blockIdx.x;
    for (u32 i = threadIdx.x; i < topk; i += blockDim.x) {
        int key = index[cell * topk + i];
        if (key >= 0) {
            mask[cell * keys + (u32)key] = 0.0f;
        }
    }
}
