"""What each kernel is given, and what numpy says it gives."""

import math

import numpy as np

import written
from compilers import nvcc, nvrtc, triton

EXACT = 0.0


class Case:
    """A launch: `arguments` in the entry's order, and for some of the arrays among them, by their place among
    the arrays, what they hold afterwards. `close`: the greatest error relative to one more than the value."""

    def __init__(self, name, launch, arguments, expected, close=EXACT):
        self.name, self.launch, self.arguments, self.expected, self.close = name, launch, arguments, expected, close

    def wrong(self, results):
        for place, expected in self.expected.items():
            seen = results[place]
            if seen.dtype != expected.dtype or seen.shape != expected.shape:
                return f"array {place} is {seen.dtype}{seen.shape}, expected {expected.dtype}{expected.shape}"
            if self.close == EXACT:
                bad = seen != expected
            else:
                error = np.abs(seen.astype(np.float64) - expected.astype(np.float64))
                bad = ~(error <= self.close * (1 + np.abs(expected.astype(np.float64))))
            if bad.any():
                at = tuple(int(i[0]) for i in np.nonzero(bad))
                return f"array {place} differs in {bad.sum()} of {bad.size}; at {at} {seen[at]}, expected {expected[at]}"
        return None

    def blind(self, results):
        """Whether the comparison passes over one value that is wrong."""
        for place in self.expected:
            damaged = [result.copy() for result in results]
            value = damaged[place].reshape(-1)
            value[-1] = value[-1] ^ 1 if value.dtype.kind in "iu" else value[-1] * 2 + 1
            if self.wrong(damaged) is None:
                return True
        return False


def cuda(ptx, entry, grid, block, arguments, expected, close=EXACT, shared=0):
    return Case(entry, (ptx, entry, grid, block, shared), arguments, expected, close)


def triton_case(kernel, signature, constants, grid, arguments, expected, close=EXACT, warps=4):
    ptx, entry, shared, threads = triton(kernel, signature, constants, warps)
    return Case(f"triton {kernel.__name__}", (ptx, entry, grid, [threads], shared), arguments, expected, close)


def softmax(x):
    e = np.exp(x.astype(np.float64) - x.max(axis=-1, keepdims=True))
    return (e / e.sum(axis=-1, keepdims=True)).astype(np.float32)


def floats(rng, *shape):
    return rng.standard_normal(shape).astype(np.float32)


def by_hand(rng):
    """simt.cu, by NVRTC."""
    ptx = nvrtc("simt.cu")
    x, y = floats(rng, 1000), floats(rng, 1000)
    yield cuda(ptx, "saxpy", [4], [256], [x, y, 2.5, 1000], {1: (2.5 * x.astype(np.float64) + y).astype(np.float32)})
    x = floats(rng, 5000)
    yield cuda(ptx, "reduce_sum", [3], [160], [x, np.zeros(1, np.float32), 5000], {1: x.sum(dtype=np.float64)[None].astype(np.float32)}, 1e-4)
    x = floats(rng, 70, 45)
    yield cuda(ptx, "transpose", [2, 3], [32, 8], [x, np.zeros((45, 70), np.float32), 70, 45], {1: x.T.copy()})
    a, b = floats(rng, 50, 37), floats(rng, 37, 41)
    yield cuda(ptx, "gemm", [3, 4], [16, 16], [a, b, np.zeros((50, 41), np.float32), 50, 41, 37], {2: a @ b}, 1e-5)
    x = floats(rng, 9, 150)
    yield cuda(ptx, "softmax", [9], [32], [x, np.zeros_like(x), 150], {1: softmax(x)}, 1e-6, shared=600)
    x = rng.integers(0, 256, 4000, np.uint8)
    yield cuda(ptx, "histogram", [3], [96], [x, np.zeros(256, np.uint32), 4000], {1: np.bincount(x, minlength=256).astype(np.uint32)})
    x = rng.integers(0, 2**32, 512, np.uint32)
    before = np.concatenate([[0], np.cumsum(x, dtype=np.uint32)[:-1]]).astype(np.uint32)
    yield cuda(ptx, "exclusive_scan", [1], [256], [x, np.zeros(512, np.uint32), 512], {1: before}, shared=2048)
    x = rng.integers(0, 2**64, 256, np.uint64)
    yield cuda(ptx, "bitonic_sort", [1], [256], [x, 256], {0: np.sort(x)})
    dense = np.where(rng.random((40, 60)) < 0.3, rng.integers(-9, 9, (40, 60)), 0).astype(np.float64)
    begin = np.concatenate([[0], np.cumsum((dense != 0).sum(axis=1))]).astype(np.int32)
    column, x = np.nonzero(dense)[1].astype(np.int32), rng.integers(-9, 9, 60).astype(np.float64)
    yield cuda(ptx, "spmv", [10], [128], [begin, column, dense[dense != 0], x, np.zeros(40), 40], {4: dense @ x})
    r, i = 3.0 * np.arange(48)[None] / 48 - 2.25, 2.5 * np.arange(32)[:, None] / 32 - 1.25
    zr, zi, count = np.zeros((32, 48)), np.zeros((32, 48)), np.zeros((32, 48), np.int32)
    for _ in range(60):
        on = zr * zr + zi * zi < 4
        zr, zi = np.where(on, zr * zr - zi * zi + r, zr), np.where(on, 2.0 * zr * zi + i, zi)
        count += on
    yield cuda(ptx, "mandelbrot", [6, 4], [8, 8], [np.zeros_like(count), 48, 32, 60], {0: count}, 0.02)
    x, y = rng.standard_normal((2, 600)).astype(np.float16)
    yield cuda(ptx, "half_axpy", [3], [128], [x, y, 0.75, 300], {1: (0.75 * x.astype(np.float64) + y).astype(np.float16)})
    bits = (floats(rng, 500).view(np.uint32) >> 16).astype(np.uint16)
    x = (bits.astype(np.uint32) << 16).view(np.float32).astype(np.float64)
    gelu = np.array([0.5 * v * (1 + math.erf(v * 0.70710678)) for v in x], np.float32)
    yield cuda(ptx, "bf16_gelu", [4], [128], [bits, np.zeros(500, np.float32), 500], {1: gelu}, 1e-6)
    a, b = rng.integers(-128, 128, (7, 400), np.int8), rng.integers(-128, 128, 400, np.int8)
    yield cuda(ptx, "int8_dot", [7], [32], [a, b, np.zeros(7, np.int32), 100], {2: a.astype(np.int32) @ b.astype(np.int32)})
    x = rng.integers(-64, 64, 300).astype(np.float32)
    padded = np.pad(x, 2, mode="edge")
    smooth = sum(w * padded[k : k + 300] for k, w in enumerate([0.0625, 0.25, 0.375, 0.25, 0.0625])).astype(np.float32)
    yield cuda(ptx, "convolve", [3], [128], [x, np.zeros(300, np.float32), 300], {1: smooth})
    world = rng.integers(0, 2, (24, 32), np.uint8)
    near = sum(np.roll(world, (dy, dx), (0, 1)) for dy in (-1, 0, 1) for dx in (-1, 0, 1)) - world
    alive = ((near == 3) | ((near == 2) & (world == 1))).astype(np.uint8)
    yield cuda(ptx, "life", [4, 3], [8, 8], [world, np.zeros_like(world), 32, 24], {1: alive})
    start = rng.integers(1, 100000, 200).astype(np.uint64)
    steps = []
    for v in map(int, start):
        n = 0
        while v != 1:
            v, n = 3 * v + 1 if v % 2 else v // 2, n + 1
        steps.append(n)
    yield cuda(ptx, "collatz", [2], [128], [start, np.zeros(200, np.uint32), 200], {1: np.array(steps, np.uint32)})
    keys = rng.integers(0, 6, 500).astype(np.int32)
    yield cuda(ptx, "matched_counts", [4], [128], [keys, np.zeros(6, np.int32), 500], {1: np.bincount(keys).astype(np.int32)})
    keys = rng.integers(-99, 99, (160, 24)).astype(np.int32)
    keys[3], keys[70] = np.arange(24), 5
    yield cuda(ptx, "own_sorts", [2], [80], [keys, 24], {0: np.sort(keys, axis=1)})
    values = []
    for t in range(96):
        used = 1 + (t + 2) % 8
        value = t + 8 + used
        for i in reversed(range(used)):
            value = 3 * value - (t + i + i + 1)
        values.append(value if t % 5 else t + 3)
    yield cuda(ptx, "term_values", [1], [96], [np.zeros(96, np.int32), 2], {0: np.array(values, np.int32)})
    x = rng.integers(0, 2**32, 70, np.uint32)
    mixed = []
    for t, v in enumerate(map(int, x)):
        for i in range(4):
            v = [(v << 7 | v >> 25) & 0xFFFFFFFF, v * 2654435761 & 0xFFFFFFFF, v ^ v >> 16][(t + i) % 3]
        mixed.append(v)
    yield cuda(ptx, "function_pointers", [1], [70], [x], {0: np.array(mixed, np.uint32)})
    side = np.arange(64, dtype=np.float32)
    area = np.where(np.arange(64) % 3 != 0, side * side, np.float32(3.1415927) * side * side)
    yield cuda(ptx, "virtual_calls", [1], [64], [np.zeros(64, np.float32)], {0: area}, 1e-6)
    body = floats(rng, 128, 4)
    apart = body[None, :, :3].astype(np.float64) - body[:, None, :3]
    by = body[None, :, 3] * ((apart**2).sum(axis=2) + 0.01) ** -1.5
    force = (apart * by[:, :, None]).sum(axis=1).astype(np.float32)
    yield cuda(ptx, "nbody", [2], [64], [body, np.zeros((128, 3), np.float32), 128], {1: force}, 1e-3)


def over_libraries(rng):
    """library.cu, by nvcc."""
    ptx = nvcc("library.cu")
    x = rng.integers(0, 2**32, (3, 512), np.uint32)
    yield cuda(ptx, "block_radix_sort", [3], [128], [x, np.zeros_like(x)], {1: np.sort(x)})
    x = rng.integers(-999, 999, (3, 256)).astype(np.int32)
    yield cuda(ptx, "block_scan", [3], [256], [x, np.zeros_like(x)], {1: np.cumsum(x, axis=1, dtype=np.int32)})
    x = rng.standard_normal((5, 128))
    yield cuda(ptx, "block_reduce", [5], [128], [x, np.zeros(5)], {1: x.max(axis=1)})
    x = rng.integers(0, 64, (2, 512), np.uint8)
    bins = np.array([np.bincount(row, minlength=64) for row in x], np.uint32)
    yield cuda(ptx, "block_histogram", [2], [128], [x, np.zeros_like(bins)], {1: bins})
    x = rng.integers(-999, 999, (8, 128)).astype(np.int32)
    yield cuda(ptx, "warp_merge_sort", [2], [128], [x, np.zeros_like(x)], {1: -np.sort(-x)})
    x = rng.integers(-999, 999, 500).astype(np.int32)
    sums = np.pad(x, (0, 12)).reshape(64, 8).sum(axis=1, dtype=np.int32)
    yield cuda(ptx, "group_reduce", [4], [128], [x, np.zeros(64, np.int32), 500], {1: sums})
    # One warp, whose lanes append in their order.
    x = rng.integers(-9, 9, 30).astype(np.int32)
    picked = np.pad(x[x > 0], (0, 30 - (x > 0).sum()))
    yield cuda(ptx, "coalesced_filter", [1], [32], [x, np.zeros_like(x), np.zeros(1, np.int32), 30], {1: picked, 2: np.array([(x > 0).sum()], np.int32)})
    a, b = rng.integers(-8, 8, (32, 48)).astype(np.float16), rng.integers(-8, 8, (48, 64)).astype(np.float16)
    product = a.astype(np.float32) @ b.astype(np.float32)
    yield cuda(ptx, "wmma_gemm", [4, 2], [32], [a, b, np.zeros_like(product), 64, 48], {2: product})
    x = floats(rng, 2, 4, 64, 4)
    yield cuda(ptx, "staged_copy", [2], [64], [x, np.zeros_like(x)], {1: x[:, :, ::-1, ::-1].copy()})
    x = floats(rng, 200, 2)
    z = x[:, 0].astype(np.float64) + 1j * x[:, 1]
    p = np.ones(200)
    for _ in range(5):
        p = p * z + np.conj(z)
    yield cuda(ptx, "complex_powers", [2], [128], [x, np.zeros_like(x), 200], {1: np.stack([p.real, p.imag], 1).astype(np.float32)}, 1e-4)
    # Which block comes when is open; the turns are not.
    yield cuda(ptx, "ticket_order", [20], [32], [np.zeros(1, np.int32), np.full(20, -1, np.int32)], {0: np.array([20], np.int32)})
    x = rng.standard_normal(300)
    y = sum(c * x**k for k, c in enumerate([1, -0.5, 0.25, -0.125, 2, -3]))
    yield cuda(ptx, "polynomials", [3], [128], [x, np.zeros(300), 300], {1: y}, 1e-12)
    x = 20 * floats(rng, 300)
    y = [math.sin(v) + math.log(1 + v * v) + (abs(v) + 1) ** 0.3 + (math.gamma(1.5 + abs(v)) if abs(v) < 30 else math.inf) for v in map(float, x)]
    small = np.abs(x) < 20
    x, y = np.ascontiguousarray(x[small]), np.array(y, np.float64)[small].astype(np.float32)
    yield cuda(ptx, "special_functions", [3], [128], [x, np.zeros_like(x), len(x)], {1: y}, 1e-5)


def in_triton(rng):
    """written.py, by Triton."""
    x, y = floats(rng, 2, 700)
    yield triton_case(written.add, ["*fp32", "*fp32", "*fp32", "i32"], {"BLOCK": 256}, [3], [x, y, np.zeros_like(x), 700], {2: x + y})
    x = floats(rng, 6, 100)
    yield triton_case(written.row_softmax, ["*fp32", "*fp32", "i32"], {"BLOCK": 128}, [6], [x, np.zeros_like(x), 100], {1: softmax(x)}, 1e-6)
    weight, bias = floats(rng, 2, 100)
    wide = x.astype(np.float64)
    normal = (wide - wide.mean(axis=1, keepdims=True)) / np.sqrt(wide.var(axis=1, keepdims=True) + 1e-5) * weight + bias
    yield triton_case(written.layer_norm, ["*fp32"] * 4 + ["i32", "fp32"], {"BLOCK": 128}, [6], [x, weight, bias, np.zeros_like(x), 100, 1e-5], {3: normal.astype(np.float32)}, 1e-5)
    for name, dtype in [("fp16", np.float16), ("fp32", np.float32)]:
        a, b = rng.integers(-8, 8, (60, 72)).astype(dtype), rng.integers(-8, 8, (72, 50)).astype(dtype)
        product = a.astype(np.float32) @ b.astype(np.float32)
        signature = [f"*{name}", f"*{name}", "*fp32", "i32", "i32", "i32"]
        yield triton_case(written.matmul, signature, {"M": 32, "N": 32, "K": 32}, [2, 2], [a, b, np.zeros_like(product), 60, 50, 72], {2: product})
    a, b = rng.integers(-128, 128, (64, 64), np.int8), rng.integers(-128, 128, (64, 64), np.int8)
    product = a.astype(np.int32) @ b.astype(np.int32)
    yield triton_case(written.matmul_int8, ["*i8", "*i8", "*i32", "i32", "i32"], {"M": 32, "N": 32, "K": 32}, [2, 2], [a, b, np.zeros_like(product), 64, 64], {2: product})
    q, k, v = rng.standard_normal((3, 128, 32)).astype(np.float16)
    score = q.astype(np.float64) @ k.astype(np.float64).T * 0.2
    weights = np.exp(np.where(np.tri(128) > 0, score, -np.inf))
    mixed = (weights / weights.sum(axis=1, keepdims=True)) @ v.astype(np.float64)
    signature = ["*fp16"] * 3 + ["*fp32", "i32", "fp32"]
    yield triton_case(written.attention, signature, {"M": 64, "N": 32, "D": 32}, [2], [q, k, v, np.zeros((128, 32), np.float32), 128, 0.2], {3: mixed.astype(np.float32)}, 2e-3)
    x = rng.integers(-999, 999, (3, 256)).astype(np.int32)
    yield triton_case(written.running_sum, ["*i32", "*i32"], {"BLOCK": 256}, [3], [x, np.zeros_like(x)], {1: np.cumsum(x, axis=1, dtype=np.int32)})
    yield triton_case(written.sorted_rows, ["*i32", "*i32"], {"BLOCK": 256}, [3], [x, np.zeros_like(x)], {1: np.sort(x)})
    x = rng.integers(0, 20, 900).astype(np.int32)
    yield triton_case(written.counted, ["*i32", "*i32", "i32"], {"BLOCK": 256}, [4], [x, np.zeros(20, np.int32), 900], {1: np.bincount(x, minlength=20).astype(np.int32)})
    x = floats(rng, 6, 100)
    yield triton_case(written.row_argmax, ["*fp32", "*i32", "i32"], {"BLOCK": 128}, [6], [x, np.zeros(6, np.int32), 100], {1: x.argmax(axis=1).astype(np.int32)})
    yield triton_case(written.random_words, ["*i32", "i32"], {"BLOCK": 256}, [2], [np.zeros(512, np.uint32), 77], {0: philox(77, np.arange(512))})
    index = rng.integers(0, 6, 9).astype(np.int32)
    wide = x[index].astype(np.float64)
    yield triton_case(written.gathered, ["*fp32", "*i32", "*fp32", "i32"], {"BLOCK": 128}, [9], [x, index, np.zeros((9, 100), np.float32), 100], {2: (wide / (1 + np.exp(-wide))).astype(np.float32)}, 1e-6)


def philox(seed, offsets):
    """The first word of Philox 4x32 with ten rounds, for a counter in its lowest word."""
    c = [offsets.astype(np.uint64), *[np.zeros(len(offsets), np.uint64) for _ in range(3)]]
    key = [seed & 0xFFFFFFFF, seed >> 32]
    low = np.uint64(0xFFFFFFFF)
    for _ in range(10):
        a, b = c[0] * np.uint64(0xD2511F53), c[2] * np.uint64(0xCD9E8D57)
        c = [(b >> np.uint64(32)) ^ c[1] ^ np.uint64(key[0]), b & low, (a >> np.uint64(32)) ^ c[3] ^ np.uint64(key[1]), a & low]
        key = [(key[0] + 0x9E3779B9) & 0xFFFFFFFF, (key[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return c[0].astype(np.uint32)


def all_cases():
    for group in (by_hand, over_libraries, in_triton):
        yield from group(np.random.default_rng(11))
