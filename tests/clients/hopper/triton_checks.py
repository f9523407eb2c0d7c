"""Triton's kernels with their inputs, and what numpy says of the outputs."""

import ctypes
import re

import numpy

from checks import RANDOM, close, e4m3, halves, normal
from cuda import integer, single


def prepare(device, made):
    """Loads a kernel; gives it with what Triton adds to a launch: scratch memory, and its own block."""
    function = device.function(device.load(made["ptx"].encode() + b"\0"), made["entry"])
    threads = re.search(r"\.(?:reqntid|maxntid) (\d+)", made["ptx"])
    scratch = device.put(numpy.zeros(max(64 * made["scratch"], 16), numpy.uint8))
    extra = [scratch, ctypes.c_ulonglong(0)]
    block = (int(threads.group(1)) if threads else made["threads"],)
    return function, {"block": block, "extra": extra, "options": {"shared": made["shared"]}}


def matmul(d, run):
    m, n, k = 128, 256, 160
    (a, av), (b, bv) = halves(normal(m, k)), halves(normal(k, n))
    out = d.put(numpy.zeros((m, n), numpy.float16))
    run((2, 2), None, [d.put(a), d.put(b), out, integer(m), integer(n), integer(k)])
    expected = av.astype(numpy.float64) @ bv
    close(d.get(out, (m, n), numpy.float16), expected, 2**-10 * numpy.abs(expected).max())


def matmul_by_descriptors(d, run):
    m, n, k = 256, 128, 320
    (a, av), (b, bv) = halves(normal(m, k)), halves(normal(n, k))
    out = d.put(numpy.zeros((m, n), numpy.float16))
    run((2, 2), None, [d.put(a), d.put(b), out, integer(m), integer(n), integer(k)])
    expected = av.astype(numpy.float64) @ bv.T
    close(d.get(out, (m, n), numpy.float16), expected, 2**-10 * numpy.abs(expected).max())


def matmul_fp8(d, run):
    m, n, k = 128, 64, 192
    (a, av), (b, bv) = e4m3(normal(m, k)), e4m3(normal(n, k))
    out = d.put(numpy.zeros((m, n), numpy.float32))
    run((2, 1), None, [d.put(a), d.put(b), out, integer(n), integer(k)])
    sizes = numpy.abs(av.astype(numpy.float64)) @ numpy.abs(bv.T)
    close(d.get(out, (m, n), numpy.float32), av.astype(numpy.float64) @ bv.T, 2**-11 * sizes.max())


def attention(d, run):
    length = 256
    (q, qv), (k, kv), (v, vv) = (halves(normal(length, 64)) for _ in range(3))
    out = d.put(numpy.zeros((length, 64), numpy.float32))
    run((4,), None, [d.put(q), d.put(k), d.put(v), out, integer(length), single(1.4426950408889634 / 8)])
    scores = qv.astype(numpy.float64) @ kv.T / 8
    scores = numpy.where(numpy.tri(length, dtype=bool), scores, -numpy.inf)
    weights = numpy.exp(scores - scores.max(1, keepdims=True))
    close(d.get(out, (length, 64), numpy.float32), weights / weights.sum(1, keepdims=True) @ vv, 2**-8)


def softmax(d, run):
    x = normal(33, 300)
    out = d.put(numpy.zeros_like(x))
    run((33,), None, [d.put(x), out, integer(300)])
    e = numpy.exp(x.astype(numpy.float64))
    close(d.get(out, x.shape, x.dtype), e / e.sum(1, keepdims=True), 1e-6)


def layer_norm(d, run):
    x, weight = normal(20, 1000), RANDOM.random(1000, numpy.float32)
    out = d.put(numpy.zeros_like(x))
    run((20,), None, [d.put(x), d.put(weight), out, integer(1000)])
    off = x - x.mean(1, keepdims=True, dtype=numpy.float64)
    close(d.get(out, x.shape, x.dtype), off / numpy.sqrt((off**2).mean(1, keepdims=True) + 1e-5) * weight, 1e-4)


CHECKS = [
    ("triton_matmul", matmul), ("triton_matmul_fp8", matmul_fp8), ("triton_matmul_descriptors", matmul_by_descriptors),
    ("triton_matmul_specialised", matmul_by_descriptors), ("triton_attention", attention), ("triton_softmax", softmax),
    ("triton_layer_norm", layer_norm),
]
