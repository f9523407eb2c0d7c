// The decode lane on an index cache in pages, as serving engines keep it: which page has which keys of a row stands in a
// block table on the device, which may be another one in each step. decode_select follows, as ever.
#include "decode_score.cuh"

// pages [physical, page, D] bf16, table [batches, ceil(slots / page)] u32: the pages of a row's slots; of pages whose slots
// hold no key nothing is asked. All else as decode.cu.
#define DECODE_PAGED(D, H)                                                                                             \
    extern "C" __global__ void __launch_bounds__(128) decode_paged_d##D##_h##H(                                        \
        const u16 *q, u16 *pages, const u32 *table, const u16 *fresh, const float *w, const int *start,                \
        const int *end, const u32 *position, u32 *orders, float *split_max, float *split_sum, u32 *split_bound,        \
        Tally *tally, u32 *bits, u32 slots, u32 heads, u32 split_keys, u32 topk, u32 page, u32 physical) {             \
        PagedKeys<D> keys = {pages, table + (size_t)blockIdx.y * ((slots + page - 1u) / page), page, physical};        \
        decode_score<D, H>(q, keys, fresh, w, start, end, position, orders, split_max, split_sum, split_bound, tally,  \
                           bits, slots, heads, split_keys, topk);                                                      \
    }

DECODE_PAGED(32, 32)
DECODE_PAGED(64, 32)
DECODE_PAGED(128, 32)
DECODE_PAGED(32, 64)
DECODE_PAGED(64, 64)
DECODE_PAGED(128, 64)
