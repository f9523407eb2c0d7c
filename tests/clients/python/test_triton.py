"""Triton's compiler for sm_80: its PTX is loaded and launched by the driver API, and agrees with numpy."""

import ctypes

import numpy
import pytest
import triton
import triton.language as tl
from cuda.bindings import driver
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource


def ok(result):
    code, *values = result
    assert code == 0, code
    return values[0] if len(values) == 1 else values


@pytest.fixture(autouse=True)
def context():
    ok(driver.cuInit(0))
    ok(driver.cuCtxSetCurrent(ok(driver.cuDevicePrimaryCtxRetain(ok(driver.cuDeviceGet(0))))))


def run(kernel, signature, constants, grid, arrays, scalars=(), warps=4):
    """Compiles a kernel and runs it on copies of the arrays, which it may write."""
    source = ASTSource(kernel, signature={**signature, **{name: "constexpr" for name in constants}}, constexprs=constants)
    made = triton.compile(source, target=GPUTarget("cuda", 80, 32), options={"num_warps": warps})
    module = ok(driver.cuModuleLoadData(made.asm["ptx"].encode() + b"\0"))
    function = ok(driver.cuModuleGetFunction(module, made.metadata.name.encode()))
    addresses = []
    for array in arrays:
        address = ok(driver.cuMemAlloc(array.nbytes))
        ok(driver.cuMemcpyHtoD(address, array.ctypes.data, array.nbytes))
        addresses.append(int(address))
    # Behind a kernel's own parameters come two of Triton's: memory for scratch and for profiling.
    values = (*addresses, *scalars, 0, 0)
    kinds = (*[ctypes.c_void_p] * len(addresses), *[ctypes.c_int32] * len(scalars), ctypes.c_void_p, ctypes.c_void_p)
    shared = made.metadata.shared
    if shared > 48 * 1024:
        limit = driver.CUfunction_attribute.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
        ok(driver.cuFuncSetAttribute(function, limit, shared))
    ok(driver.cuLaunchKernel(function, *grid, 32 * warps, 1, 1, shared, 0, (values, kinds), 0))
    for array, address in zip(arrays, addresses):
        ok(driver.cuMemcpyDtoH(array.ctypes.data, address, array.nbytes))
        ok(driver.cuMemFree(address))


def numbers(*shape, seed=0):
    return numpy.random.default_rng(seed).standard_normal(shape).astype(numpy.float32)


@triton.jit
def add(a, b, out, n, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    mask = at < n
    tl.store(out + at, tl.load(a + at, mask=mask) + tl.load(b + at, mask=mask), mask=mask)


def test_add():
    a, b, out = numbers(1000), numbers(1000, seed=1), numpy.zeros(1000, dtype=numpy.float32)
    signature = {"a": "*fp32", "b": "*fp32", "out": "*fp32", "n": "i32"}
    run(add, signature, {"BLOCK": 256}, (4, 1, 1), [a, b, out], [1000])
    assert (out == a + b).all()


@triton.jit
def softmax(x, out, columns, BLOCK: tl.constexpr):
    row = tl.program_id(0)
    at = tl.arange(0, BLOCK)
    mask = at < columns
    value = tl.load(x + row * columns + at, mask=mask, other=-float("inf"))
    value = tl.exp(value - tl.max(value, axis=0))
    tl.store(out + row * columns + at, value / tl.sum(value, axis=0), mask=mask)


def test_softmax():
    x, out = numbers(7, 100), numpy.zeros((7, 100), dtype=numpy.float32)
    run(softmax, {"x": "*fp32", "out": "*fp32", "columns": "i32"}, {"BLOCK": 128}, (7, 1, 1), [x, out], [100])
    expected = numpy.exp(x - x.max(axis=1, keepdims=True))
    numpy.testing.assert_allclose(out, expected / expected.sum(axis=1, keepdims=True), rtol=1e-5)


@triton.jit
def product(a, b, c, M: tl.constexpr, N: tl.constexpr, K: tl.constexpr):
    m, n, k = tl.arange(0, M), tl.arange(0, N), tl.arange(0, K)
    left = tl.load(a + m[:, None] * K + k[None, :])
    right = tl.load(b + k[:, None] * N + n[None, :])
    tl.store(c + m[:, None] * N + n[None, :], tl.dot(left, right))


def test_matrix_product_of_halves():
    a, b = numbers(32, 32).astype(numpy.float16), numbers(32, 32, seed=1).astype(numpy.float16)
    c = numpy.zeros((32, 32), dtype=numpy.float32)
    run(product, {"a": "*fp16", "b": "*fp16", "c": "*fp32"}, {"M": 32, "N": 32, "K": 32}, (1, 1, 1), [a, b, c])
    numpy.testing.assert_allclose(c, a.astype(numpy.float32) @ b.astype(numpy.float32), rtol=1e-3, atol=1e-3)


@triton.jit
def histogram(x, out, n, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    mask = at < n
    tl.atomic_add(out + tl.load(x + at, mask=mask, other=0), 1, mask=mask)


def test_atomics():
    x = numpy.random.default_rng(0).integers(0, 16, 1000).astype(numpy.int32)
    out = numpy.zeros(16, dtype=numpy.int32)
    run(histogram, {"x": "*i32", "out": "*i32", "n": "i32"}, {"BLOCK": 256}, (4, 1, 1), [x, out], [1000])
    assert (out == numpy.bincount(x, minlength=16)).all()


@triton.jit
def scan(x, out, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    tl.store(out + at, tl.cumsum(tl.load(x + at), axis=0))


def test_scan():
    x, out = numpy.arange(256, dtype=numpy.int32), numpy.zeros(256, dtype=numpy.int32)
    run(scan, {"x": "*i32", "out": "*i32"}, {"BLOCK": 256}, (1, 1, 1), [x, out])
    assert (out == numpy.cumsum(x)).all()
