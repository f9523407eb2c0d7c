"""Kernels in Triton, compiled for sm_90 without a GPU."""

import os

os.environ.setdefault("TRITON_DEFAULT_FP_FUSION", "1")
import triton  # noqa: E402
import triton.language as tl  # noqa: E402
from triton.backends.compiler import GPUTarget  # noqa: E402


@triton.jit
def matmul(a, b, c, m, n, k, M: tl.constexpr, N: tl.constexpr, K: tl.constexpr):
    rows = tl.program_id(0) * M + tl.arange(0, M)
    columns = tl.program_id(1) * N + tl.arange(0, N)
    along = tl.arange(0, K)
    total = tl.zeros((M, N), tl.float32)
    for at in range(0, k, K):
        x = tl.load(a + rows[:, None] * k + (at + along)[None, :], mask=(at + along)[None, :] < k, other=0.0)
        y = tl.load(b + (at + along)[:, None] * n + columns[None, :], mask=(at + along)[:, None] < k, other=0.0)
        total = tl.dot(x, y, total)
    tl.store(c + rows[:, None] * n + columns[None, :], total.to(tl.float16), mask=(rows[:, None] < m) & (columns[None, :] < n))


@triton.jit
def matmul_fp8(a, b, c, n, k, M: tl.constexpr, N: tl.constexpr, K: tl.constexpr):
    rows = tl.program_id(0) * M + tl.arange(0, M)
    columns = tl.program_id(1) * N + tl.arange(0, N)
    along = tl.arange(0, K)
    total = tl.zeros((M, N), tl.float32)
    for at in range(0, k, K):
        x = tl.load(a + rows[:, None] * k + (at + along)[None, :])
        y = tl.load(b + columns[None, :] * k + (at + along)[:, None])
        total = tl.dot(x, y, total)
    tl.store(c + rows[:, None] * n + columns[None, :], total)


@triton.jit
def matmul_descriptors(a, b, c, m, n, k, M: tl.constexpr, N: tl.constexpr, K: tl.constexpr):
    of_a = tl.make_tensor_descriptor(a, [m, k], [k, 1], [M, K])
    of_b = tl.make_tensor_descriptor(b, [n, k], [k, 1], [N, K])
    of_c = tl.make_tensor_descriptor(c, [m, n], [n, 1], [M, N])
    row, column = tl.program_id(0) * M, tl.program_id(1) * N
    total = tl.zeros((M, N), tl.float32)
    for at in range(0, k, K):
        total = tl.dot(of_a.load([row, at]), of_b.load([column, at]).T, total)
    of_c.store([row, column], total.to(tl.float16))


@triton.jit
def matmul_specialised(a, b, c, m, n, k, M: tl.constexpr, N: tl.constexpr, K: tl.constexpr):
    of_a = tl.make_tensor_descriptor(a, [m, k], [k, 1], [M, K])
    of_b = tl.make_tensor_descriptor(b, [n, k], [k, 1], [N, K])
    of_c = tl.make_tensor_descriptor(c, [m, n], [n, 1], [M, N])
    row, column = tl.program_id(0) * M, tl.program_id(1) * N
    total = tl.zeros((M, N), tl.float32)
    for at in tl.range(0, k, K, warp_specialize=True):
        total = tl.dot(of_a.load([row, at]), of_b.load([column, at]).T, total)
    of_c.store([row, column], total.to(tl.float16))


@triton.jit
def attention(q, k, v, out, length, scale, M: tl.constexpr, N: tl.constexpr, D: tl.constexpr):
    rows = tl.program_id(0) * M + tl.arange(0, M)
    along, keys = tl.arange(0, D), tl.arange(0, N)
    x = tl.load(q + rows[:, None] * D + along[None, :])
    most = tl.full((M,), -float("inf"), tl.float32)
    total = tl.zeros((M,), tl.float32)
    mix = tl.zeros((M, D), tl.float32)
    for at in range(0, (tl.program_id(0) + 1) * M, N):
        y = tl.load(k + (at + keys)[None, :] * D + along[:, None])
        z = tl.load(v + (at + keys)[:, None] * D + along[None, :])
        s = tl.dot(x, y) * scale
        s = tl.where(rows[:, None] >= (at + keys)[None, :], s, -float("inf"))
        top = tl.maximum(most, tl.max(s, 1))
        p = tl.exp2(s - top[:, None])
        shrink = tl.exp2(most - top)
        total = total * shrink + tl.sum(p, 1)
        mix = tl.dot(p.to(tl.float16), z, mix * shrink[:, None])
        most = top
    tl.store(out + rows[:, None] * D + along[None, :], mix / total[:, None])


@triton.jit
def softmax(x, out, columns, N: tl.constexpr):
    at = tl.arange(0, N)
    row = tl.load(x + tl.program_id(0) * columns + at, mask=at < columns, other=-float("inf"))
    e = tl.exp(row - tl.max(row, 0))
    tl.store(out + tl.program_id(0) * columns + at, e / tl.sum(e, 0), mask=at < columns)


@triton.jit
def layer_norm(x, weight, out, columns, N: tl.constexpr):
    at = tl.arange(0, N)
    inside = at < columns
    row = tl.load(x + tl.program_id(0) * columns + at, mask=inside, other=0.0)
    mean = tl.sum(row, 0) / columns
    off = tl.where(inside, row - mean, 0.0)
    scale = 1.0 / tl.sqrt(tl.sum(off * off, 0) / columns + 1e-5)
    tl.store(out + tl.program_id(0) * columns + at, off * scale * tl.load(weight + at, mask=inside), mask=inside)


# Kernel: types of its arguments, its constants, its options. `:16`: a multiple of 16.
KERNELS = {
    matmul: ("*fp16:16 *fp16:16 *fp16:16 i32:16 i32:16 i32:16", {"M": 64, "N": 128, "K": 64}, {"num_warps": 4}),
    matmul_fp8: ("*fp8e4nv:16 *fp8e4nv:16 *fp32:16 i32:16 i32:16", {"M": 64, "N": 64, "K": 64}, {"num_warps": 4}),
    matmul_descriptors: ("*fp16:16 *fp16:16 *fp16:16 i32:16 i32:16 i32:16", {"M": 128, "N": 64, "K": 64}, {"num_warps": 4}),
    matmul_specialised: ("*fp16:16 *fp16:16 *fp16:16 i32:16 i32:16 i32:16", {"M": 128, "N": 64, "K": 64}, {"num_warps": 4}),
    attention: ("*fp16:16 *fp16:16 *fp16:16 *fp32:16 i32:16 fp32", {"M": 64, "N": 64, "D": 64}, {"num_warps": 4}),
    softmax: ("*fp32:16 *fp32:16 i32", {"N": 512}, {"num_warps": 4}),
    layer_norm: ("*fp32:16 *fp32:16 *fp32:16 i32", {"N": 1024}, {"num_warps": 8}),
}


def compiled():
    """Each kernel's PTX, and what a launch has to know."""
    found = {}
    for kernel, (types, constants, options) in KERNELS.items():
        names = [name for name in kernel.arg_names if name not in constants]
        types = dict(zip(names, types.split(), strict=True))
        signature = {name: ty.removesuffix(":16") for name, ty in types.items()} | dict.fromkeys(constants, "constexpr")
        attributes = {
            (position,): [["tt.divisibility", 16]]
            for position, name in enumerate(kernel.arg_names)
            if types.get(name, "").endswith(":16")
        }
        places = {(kernel.arg_names.index(name),): value for name, value in constants.items()}
        source = triton.compiler.ASTSource(kernel, signature, places, attributes)
        made = triton.compile(source, target=GPUTarget("cuda", 90, 32), options={**options, "ptx_version": 87})
        meta = made.metadata
        found["triton_" + meta.name] = {
            "ptx": made.asm["ptx"],
            "entry": meta.name,
            "shared": meta.shared,
            "scratch": getattr(meta, "global_scratch_size", 0) or 0,
            "threads": 32 * getattr(meta, "num_warps", 4),
        }
    return found
