// Compares two images of buffers on the device, and digests the first: the harness's own kernels.
//
// The digest of an image is defined over its bytes, and does not depend on the order of threads.
// The image is cut into 8-byte little-endian words, with the last one filled up with zeros; bytes
// that are not valid under the buffer's contract count as zero. With word j = w, modulo 2^64,
//
//     mix(j, w) = y * 0x94d049bb133111eb,  y = x ^ (x >> 32),
//                 x = (w ^ (j + 1) * 0x9e3779b97f4a7c15) * 0xbf58476d1ce4e5b9
//
// (the constants are those of SplitMix64) and the digest is the sum of mix(j, w) over all words.
// `harness/src/digest.rs` computes the same on the host.
#include "common.cuh"

// One buffer to compare; `Item` in `harness/src/compare/device.rs`.
struct Item {
    const unsigned char *reference;
    // Null: only the digest of the reference is wanted.
    const unsigned char *other;
    // The valid length in elements of each row, in both images; null: every element is valid.
    const int *lengths;
    u64 bytes;
    u64 row_bytes;
    u32 element;
    u32 first_block;
    u32 blocks;
    u32 reserved;
};

// What was found; the host writes {0, ~0, 0} before the launch.
struct Found {
    u64 count;
    u64 first;
    u64 digest;
};

__device__ __forceinline__ u64 mix(u64 position, u64 word) {
    u64 x = (word ^ (position + 1) * 0x9e3779b97f4a7c15ull) * 0xbf58476d1ce4e5b9ull;
    return (x ^ (x >> 32)) * 0x94d049bb133111ebull;
}

// The low `bytes` bytes of a word.
__device__ __forceinline__ u64 low_bytes(u64 bytes) { return bytes >= 8 ? ~0ull : (1ull << 8 * bytes) - 1; }

// The valid bytes of word `position`, which may reach over several rows.
__device__ u64 valid_bytes(const Item &item, u64 position) {
    u64 row = 8 * position / item.row_bytes;
    u64 within = 8 * position - row * item.row_bytes;
    u64 rows = item.bytes / item.row_bytes;
    u64 mask = 0;
    for (u64 done = 0; done < 8 && row < rows; row++) {
        u64 here = min(8 - done, item.row_bytes - within);
        int length = __ldg(item.lengths + row);
        u64 valid = min(length < 0 ? 0 : (u64)length * item.element, item.row_bytes);
        valid = valid > within ? min(valid - within, here) : 0;
        mask |= low_bytes(valid) << 8 * done;
        done += here;
        within = 0;
    }
    return mask;
}

// Bytes [8 position, bytes) of an image: the last word, which is not whole.
__device__ __forceinline__ u64 last_word(const unsigned char *image, u64 position, u64 bytes) {
    u64 word = 0;
    for (u64 i = 8 * position; i < bytes; i++) {
        word |= (u64)__ldg(image + i) << 8 * (i & 7);
    }
    return word;
}

// Counts the elements that differ and keeps the lowest index of one.
__device__ void differing(u64 difference, u64 position, u32 element, u64 &count, u64 &first) {
    u64 one = low_bytes(element);
    for (u32 byte = 0; byte < 8; byte += element) {
        if ((difference >> 8 * byte) & one) {
            count++;
            first = min(first, (8 * position + byte) / element);
        }
    }
}

// Grid: the sum of all items' blocks; owners[block] is the item of each. Images start on a multiple
// of 8 bytes, as every allocation does.
extern "C" __global__ void __launch_bounds__(128) compare_images(const Item *items, const u32 *owners, Found *found) {
    u32 owner = owners[blockIdx.x];
    Item item = items[owner];
    u64 words = item.bytes / 8;
    u64 stride = (u64)item.blocks * blockDim.x;
    u64 start = (u64)(blockIdx.x - item.first_block) * blockDim.x + threadIdx.x;
    const u64 *reference = (const u64 *)item.reference;
    const u64 *other = item.other ? (const u64 *)item.other : reference;
    u64 digest = 0, count = 0, first = ~0ull;
    for (u64 i = start; i < words; i += stride) {
        u64 left = __ldg(reference + i);
        u64 right = __ldg(other + i);
        if (item.lengths) {
            u64 valid = valid_bytes(item, i);
            left &= valid;
            right &= valid;
        }
        digest += mix(i, left);
        if (left != right) {
            differing(left ^ right, i, item.element, count, first);
        }
    }
    if (start == 0 && item.bytes % 8 != 0) {
        u64 valid = item.lengths ? valid_bytes(item, words) : ~0ull;
        u64 left = valid & last_word(item.reference, words, item.bytes);
        u64 right = valid & last_word((const unsigned char *)other, words, item.bytes);
        digest += mix(words, left);
        if (left != right) {
            differing(left ^ right, words, item.element, count, first);
        }
    }
    for (u32 distance = LANES / 2; distance > 0; distance /= 2) {
        digest += __shfl_xor_sync(FULL_MASK, digest, distance);
    }
    // Sums and minima of integers: the result does not depend on who comes first.
    if (threadIdx.x % LANES == 0) {
        atomicAdd(&found[owner].digest, digest);
    }
    if (count) {
        atomicAdd(&found[owner].count, count);
        atomicMin(&found[owner].first, first);
    }
}

// Grid: one block for each buffer. starts[i] is the address of the guard before buffer i, which is
// lengths[i] bytes long and has a second guard behind it. broken[i], ~0 before the launch, becomes
// the lowest offset in the two guards, taken as one, of a byte that is not `expected`.
extern "C" __global__ void __launch_bounds__(128)
    check_guards(const u64 *starts, const u64 *lengths, u64 *broken, u32 guard, u32 expected) {
    const unsigned char *start = (const unsigned char *)starts[blockIdx.x];
    u64 gap = lengths[blockIdx.x];
    u64 first = ~0ull;
    for (u32 i = threadIdx.x; i < 2 * guard; i += blockDim.x) {
        u64 offset = i < guard ? i : gap + i;
        if (start[offset] != (unsigned char)expected && i < first) {
            first = i;
        }
    }
    if (first != ~0ull) {
        atomicMin(&broken[blockIdx.x], first);
    }
}
