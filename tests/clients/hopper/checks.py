"""Each kernel of kernels.cu with its inputs, and what numpy says of the outputs."""

import numpy

from cuda import integer, single

RANDOM = numpy.random.default_rng(14)
SHARED = 220 << 10


def bf16(array):
    """The bits of singles rounded to bf16, and their values."""
    bits = array.astype(numpy.float32).view(numpy.uint32).astype(numpy.uint64)
    bits = ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(numpy.uint16)
    return bits, (bits.astype(numpy.uint32) << 16).view(numpy.float32)


def e4m3(array):
    """The nearest e4m3, and their values, by the list of all."""
    codes = numpy.arange(256)
    exponent, fraction = codes >> 3 & 15, codes & 7
    values = numpy.where(exponent == 0, fraction / 512, (1 + fraction / 8) * 2.0 ** (exponent - 7))
    values = numpy.where(codes > 127, -values, values)
    usable = numpy.flatnonzero((codes & 127) != 127)
    order = usable[numpy.argsort(values[usable], kind="stable")]
    nearest = order[numpy.abs(values[order][None] - array.reshape(-1, 1)).argmin(1)].reshape(array.shape)
    return nearest.astype(numpy.uint8), values[nearest].astype(numpy.float32)


def tf32(array):
    return (array.astype(numpy.float32).view(numpy.uint32) & 0xFFFFE000).view(numpy.float32)


def close(found, expected, bound):
    worst = numpy.abs(found.astype(numpy.float64) - expected).max()
    assert worst <= bound, f"differs by {worst:.3g}, more than {bound:.3g}"


def normal(*shape):
    return RANDOM.standard_normal(shape).astype(numpy.float32)


def bulk_pipeline(d, run):
    chunks = 13
    x = normal(chunks * 256)
    out = d.put(numpy.zeros_like(x))
    run((1,), (64,), [d.put(x), out, integer(chunks)])
    expected = x * numpy.float32(2) + numpy.arange(x.size, dtype=numpy.float32)
    assert (d.get(out, x.shape, x.dtype) == expected).all()


def bulk_add(d, run):
    x = RANDOM.integers(0, 1 << 32, (40, 128), dtype=numpy.uint32)
    out = d.put(numpy.zeros(128, numpy.uint32))
    run((40,), (128,), [d.put(x), out])
    assert (d.get(out, 128, numpy.uint32) == x.sum(0, dtype=numpy.uint32)).all()


def tensor_copy(d, run):
    x = normal(77, 100)
    out = d.put(numpy.zeros_like(x))
    maps = [d.map(place, "f32", (100, 77), (64, 32)) for place in (d.put(x), out)]
    run((2, 3), (1,), maps)
    assert (d.get(out, x.shape, x.dtype) == x).all()


def tensor_transpose(d, run):
    x = RANDOM.integers(0, 1 << 16, (192, 128), dtype=numpy.uint16)
    out = d.put(numpy.zeros((128, 192), numpy.uint16))
    maps = [d.map(d.put(x), "f16", (128, 192), (64, 64), 3), d.map(out, "f16", (192, 128), (64, 64), 3)]
    run((2, 3), (256,), maps)
    assert (d.get(out, (128, 192), numpy.uint16) == x.T).all()


def tensor_stencil(d, run):
    x = normal(70, 100)
    out = d.put(numpy.zeros_like(x))
    run((5, 3), (256,), [d.map(d.put(x), "f32", (100, 70), (32, 32)), out, integer(100), integer(70)])
    p = numpy.pad(x, 1)
    expected = p[1:-1, 1:-1] + p[1:-1, :-2] + p[1:-1, 2:] + p[:-2, 1:-1] + p[2:, 1:-1]
    assert (d.get(out, x.shape, x.dtype) == expected).all()


def tensor_planes(d, run):
    x = normal(7, 40, 36)
    out = d.put(numpy.zeros_like(x))
    maps = [d.map(place, "f32", (36, 40, 7), (16, 16, 4)) for place in (d.put(x), out)]
    run((3, 3, 2), (128,), maps)
    assert (d.get(out, x.shape, x.dtype) == x * numpy.arange(7, dtype=numpy.float32)[:, None, None]).all()


def product(kind, make, dtype, step, size, bound, transposed=False):
    def check(d, run):
        m, n, k = 128, 192, step * 5
        (a, av), (b, bv) = make(normal(m, k)), make(normal(n, k))
        bits = b if not transposed else b.T
        out = d.put(numpy.zeros((m, n), numpy.float32))
        box = (128 // size, 64)
        of_b = d.map(d.put(bits), kind, bits.shape[::-1], box, 3)
        scale = 0.5
        run((n // 64, m // 64), (128,), [d.map(d.put(a), kind, (k, m), box, 3), of_b, out, integer(n), integer(5), single(scale)], shared=SHARED)
        expected = av.astype(numpy.float64) @ bv.T.astype(numpy.float64) * scale
        sizes = numpy.abs(av.astype(numpy.float64)) @ numpy.abs(bv.T.astype(numpy.float64)) * scale
        close(d.get(out, (m, n), numpy.float32), expected, bound * sizes.max())

    return check


def halves(array):
    value = array.astype(numpy.float16)
    return value, value.astype(numpy.float32)


def words(array):
    return array, tf32(array)


product_of_bf16 = product("bf16", bf16, numpy.uint16, 64, 2, 2**-20)
product_of_f16_by_rows = product("f16", halves, numpy.float16, 64, 2, 2**-20, transposed=True)
product_of_tf32 = product("f32", words, numpy.float32, 32, 4, 2**-20)
# A tensor core keeps about fourteen bits of a sum of fp8.
product_of_fp8 = product("u8", e4m3, numpy.uint8, 128, 1, 2**-11)


def product_of_s8(d, run):
    m, n, k = 128, 128, 384
    a, b = (RANDOM.integers(-128, 128, (rows, k), dtype=numpy.int8) for rows in (m, n))
    out = d.put(numpy.zeros((m, n), numpy.int32))
    maps = [d.map(d.put(x), "u8", x.shape[::-1], (128, 64), 3) for x in (a, b)]
    run((2, 2), (128,), [*maps, out, integer(n), integer(3)], shared=SHARED)
    assert (d.get(out, (m, n), numpy.int32) == a.astype(numpy.int32) @ b.astype(numpy.int32).T).all()


def product_specialised(d, run):
    m, n, k = 256, 128, 64 * 11
    (a, av), (b, bv) = bf16(normal(m, k)), bf16(normal(n, k))
    out = d.put(numpy.zeros((m, n), numpy.uint16))
    maps = [d.map(d.put(a), "bf16", (k, m), (64, 128), 3), d.map(d.put(b), "bf16", (k, n), (64, 64), 3)]
    run((2, 2), (384,), [*maps, d.map(out, "bf16", (n, m), (64, 64)), integer(11)], shared=SHARED)
    found = (d.get(out, (m, n), numpy.uint16).astype(numpy.uint32) << 16).view(numpy.float32)
    expected = av.astype(numpy.float64) @ bv.T.astype(numpy.float64)
    close(found, expected, 2**-8 * numpy.abs(expected).max())


def product_from_registers(d, run):
    m, n, k = 64, 128, 64 * 4
    (a, av), (b, bv) = halves(normal(m, k)), halves(normal(n, k))
    out = d.put(numpy.zeros((m, n), numpy.float32))
    maps = [d.map(d.put(x), "f16", x.shape[::-1], (64, 64), 3) for x in (a, b)]
    run((2, 1), (128,), [*maps, out, integer(n), integer(4)], shared=SHARED)
    expected = numpy.maximum(av, 0).astype(numpy.float64) @ bv.T.astype(numpy.float64)
    close(d.get(out, (m, n), numpy.float32), expected, 2**-12)


def product_split(d, run):
    m, n, k = 128, 128, 64 * 6
    (a, av), (b, bv) = bf16(normal(m, k)), bf16(normal(n, k))
    out = d.put(numpy.zeros((m, n), numpy.float32))
    maps = [d.map(d.put(x), "bf16", x.shape[::-1], (64, 64), 3) for x in (a, b)]
    run((2, 2, 3), (128,), [*maps, d.map(out, "f32", (n, m), (32, 64)), integer(2)], shared=SHARED)
    close(d.get(out, (m, n), numpy.float32), av.astype(numpy.float64) @ bv.T.astype(numpy.float64), 2**-12)


def product_multicast(d, run):
    m, n, k = 256, 128, 64 * 5
    (a, av), (b, bv) = bf16(normal(m, k)), bf16(normal(n, k))
    out = d.put(numpy.zeros((m, n), numpy.float32))
    maps = [d.map(d.put(a), "bf16", (k, m), (64, 64), 3), d.map(d.put(b), "bf16", (k, n), (64, 32), 3)]
    run((2, 4), (128,), [*maps, out, integer(n), integer(5)], shared=SHARED)
    close(d.get(out, (m, n), numpy.float32), av.astype(numpy.float64) @ bv.T.astype(numpy.float64), 2**-12)


def cluster_row_sums(d, run):
    x = normal(5, 4096)
    out = d.put(numpy.zeros(5, numpy.float32))
    run((20,), (128,), [d.put(x), out, integer(4096)], cluster=(4, 1, 1))
    close(d.get(out, 5, numpy.float32), x.sum(1, dtype=numpy.float64), 1e-3)


def cluster_histogram(d, run):
    x = RANDOM.integers(0, 1 << 20, 5000, dtype=numpy.uint32)
    out = d.put(numpy.zeros(1024, numpy.uint32))
    run((4,), (256,), [d.put(x), out, integer(x.size)], cluster=(4, 1, 1))
    assert (d.get(out, 1024, numpy.uint32) == numpy.bincount(x % 1024, minlength=1024)).all()


def cluster_ring(d, run):
    x = RANDOM.integers(0, 1 << 32, (16, 32), dtype=numpy.uint32)
    out = d.put(numpy.zeros_like(x))
    run((16,), (32,), [d.put(x), out], cluster=(8, 1, 1))
    expected = numpy.roll(x.reshape(2, 8, 32), 1, axis=1).reshape(16, 32)
    assert (d.get(out, x.shape, x.dtype) == expected).all()


def attention(d, run):
    length = 320
    (q, qv), (k, kv), (v, vv) = (bf16(normal(length, 64)) for _ in range(3))
    out = d.put(numpy.zeros((length, 64), numpy.float32))
    maps = [d.map(d.put(x), "bf16", (64, length), (64, 64), 3) for x in (q, k, v)]
    run((length // 64,), (128,), [*maps, out, single(1.4426950408889634 / 8)], shared=SHARED)
    scores = qv.astype(numpy.float64) @ kv.T.astype(numpy.float64) / 8
    scores = numpy.where(numpy.tri(length, dtype=bool), scores, -numpy.inf)
    weights = numpy.exp(scores - scores.max(1, keepdims=True))
    close(d.get(out, (length, 64), numpy.float32), weights / weights.sum(1, keepdims=True) @ vv, 2**-6)


CHECKS = [
    bulk_pipeline, bulk_add, tensor_copy, tensor_transpose, tensor_stencil, tensor_planes, product_of_s8, product_specialised,
    product_from_registers, product_split, product_multicast, cluster_row_sums, cluster_histogram, cluster_ring, attention,
]
CHECKS = [(check.__name__, check) for check in CHECKS] + [
    ("product_of_bf16", product_of_bf16), ("product_of_f16_by_rows", product_of_f16_by_rows),
    ("product_of_tf32", product_of_tf32), ("product_of_fp8", product_of_fp8),
]
