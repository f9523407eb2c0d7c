"""Steps of Triton's, without PyTorch, clean and with planted faults."""

import ctypes
import threading

import numpy
import pytest
from planted import clean, fault

triton = pytest.importorskip("triton")
driver = pytest.importorskip("cuda.bindings.driver")
tl = triton.language

N = 1000


@triton.jit
def scaled(x, y, n, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(y + at, tl.load(x + at, mask=at < n) * 2.0, mask=at < n)


@triton.jit
def scaled_by(x, y, scale, n, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(y + at, tl.load(x + at, mask=at < n) * scale, mask=at < n)


@triton.jit
def add_to(total, x, n, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(total + at, tl.load(total + at, mask=at < n) + tl.load(x + at, mask=at < n), mask=at < n)


def inputs(index):
    x = numpy.random.default_rng(index).standard_normal(N).astype(numpy.float32)
    return {"x": x, "y": numpy.zeros(N, numpy.float32)}


def with_scale(index):
    return {**inputs(index), "scale": 0.5 + index}


def test_clean():
    def step(x, y):
        scaled[(4,)](x, y, N, BLOCK=256)

    clean(step, inputs)


def test_clean_with_state():
    def step(x, total, y):
        add_to[(4,)](total, x, N, BLOCK=256)
        scaled[(4,)](total, y, N, BLOCK=256)

    clean(step, lambda index: {**inputs(index), "total": numpy.zeros(N, numpy.float32)})


def test_float_baked():
    def step(x, y, scale):
        scaled_by[(4,)](x, y, scale, N, BLOCK=256)  # FAULT

    fault(["V01"], step, with_scale)


def test_host_branch():
    def step(x, y, scale):
        if scale > 2:
            scaled_by[(4,)](x, y, 3.0, N, BLOCK=256)  # FAULT
        else:
            scaled[(4,)](x, y, N, BLOCK=256)  # FAULT

    fault(["V02"], step, with_scale)


def test_read_back():
    first = ctypes.c_float()

    def step(x, y):
        code = driver.cuMemcpyDtoH(ctypes.addressof(first), x.data_ptr(), 4)[0]  # FAULT
        assert code == 0, code
        scaled_by[(4,)](x, y, first.value, N, BLOCK=256)

    fault(["S08"], step, inputs)


def test_memset_skipped():
    held = inputs(0)["x"]
    code, total = driver.cuMemAlloc(held.nbytes)
    assert code == 0 and driver.cuMemcpyHtoD(total, held.ctypes.data, held.nbytes)[0] == 0

    class Held:
        dtype = held.dtype

        def data_ptr(self):
            return int(total)

    total_of = Held()

    def step(x, y):
        add_to[(4,)](total_of, x, N, BLOCK=256)
        scaled[(4,)](total_of, y, N, BLOCK=256)  # FAULT

    fault(["V07"], step, inputs)


def synchronize():
    driver.cuCtxSetCurrent(driver.cuDevicePrimaryCtxRetain(0)[1])
    driver.cuCtxSynchronize()  # FAULT


def test_other_thread():
    def step(x, y):
        thread = threading.Thread(target=synchronize)
        thread.start()
        thread.join()
        scaled[(4,)](x, y, N, BLOCK=256)

    fault(["S07"], step, inputs, planted=synchronize)
