"""Steps of numba-cuda's, clean and with planted faults."""

import gc
import itertools
import threading

import numpy
import pytest
from planted import clean, fault

cuda = pytest.importorskip("numba.cuda")

N = 512


@cuda.jit
def axpy(a, x, y):
    i = cuda.grid(1)
    if i < x.size:
        y[i] = a * x[i] + 1


@cuda.jit
def axpy_by(a, x, y):
    i = cuda.grid(1)
    if i < x.size:
        y[i] = a[0] * x[i] + 1


@cuda.jit
def add_to(total, x):
    i = cuda.grid(1)
    if i < x.size:
        total[i] += x[i]


def numbers(index, count=N):
    return numpy.random.default_rng(index).standard_normal(count).astype(numpy.float32)


def inputs(index):
    return {"x": numbers(index), "y": numpy.zeros(N, numpy.float32)}


def test_clean():
    def step(x, y, stream):
        axpy[4, 128, stream](numpy.float32(2), x, y)

    report = clean(step, inputs)
    assert report.receipt["driver"]["kind"] == "software"


class Waits:
    """Waits for the device when it is freed: by the collector of cycles alone, whenever that runs."""

    def __init__(self):
        self.itself = self

    def __del__(self):
        cuda.synchronize()  # FAULT


def test_garbage_that_happens_to_be_freed_in_a_capture_is_no_fault():
    def step(x, y, stream):
        # As many new objects as make the collector run, on what the call before has left.
        assert [[] for _ in range(20_000)]
        axpy[4, 128, stream](numpy.float32(2), x, y)
        Waits()

    clean(step, inputs)


def test_garbage_that_is_freed_in_each_capture_is():
    def step(x, y, stream):
        axpy[4, 128, stream](numpy.float32(2), x, y)
        Waits()
        gc.collect()

    fault(["C12"], step, inputs, planted=Waits.__del__)


def test_what_disagrees_with_itself_has_its_line_without_a_graph_too():
    calls = itertools.count()

    def step(x, y, stream):
        factor = numpy.float32(2)
        axpy[4, 128, stream](factor, x, y)
        axpy[4, 128, stream](numpy.float32(next(calls)), x, y)  # FAULT
        factor += 1
        cuda.synchronize()

    fault(["V07"], step, inputs)


def test_clean_with_state_and_a_scalar_on_the_device():
    def step(x, total, y, scale, stream):
        add_to[4, 128, stream](total, x)
        axpy_by[4, 128, stream](scale, total, y)

    def with_state(index):
        total = numpy.zeros(N, numpy.float32)
        return {**inputs(index), "total": total, "scale": numpy.float32([index])}

    report = clean(step, with_state, state=["total"])
    assert {buffer["name"]: buffer["role"] for buffer in report.receipt["lanes"][0]["memory"]["buffers"]}["total"] == "state"


def test_arrays_on_the_device_are_taken():
    def step(x, y, stream):
        axpy[4, 128, stream](numpy.float32(2), x, y)

    clean(step, lambda index: (cuda.to_device(numbers(index)), cuda.device_array(N, numpy.float32)))


def test_returned_arrays():
    held = cuda.device_array(N, numpy.float32)

    def step(x, stream):
        axpy[4, 128, stream](numpy.float32(2), x, held)
        return x, {"twice": held}

    report = clean(step, lambda index: {"x": numbers(index)})
    roles = {buffer["name"]: buffer["role"] for buffer in report.receipt["lanes"][0]["memory"]["buffers"]}
    assert roles == {"x": "input", "result.1.twice": "output"}


def test_read_back():
    def step(x, y, stream):
        first = x[:1].copy_to_host(stream=stream)  # FAULT
        axpy[4, 128, stream](first[0], x, y)

    fault(["A11", "S09"], step, inputs)


def test_item():
    def step(x, y, stream):
        a = x[0]  # FAULT
        axpy[4, 128, stream](a, x, y)

    fault(["S08"], step, inputs)


def test_synchronize():
    def step(x, y, stream):
        axpy[4, 128, stream](numpy.float32(2), x, y)
        stream.synchronize()  # FAULT

    fault(["S01"], step, inputs)


def test_float_baked():
    def step(x, y, a, stream):
        axpy[4, 128, stream](numpy.float32(a), x, y)  # FAULT

    fault(["V01"], step, lambda index: {**inputs(index), "a": 1.0 + index})


def test_host_branch():
    def step(x, y, long, stream):
        axpy[4, 128, stream](numpy.float32(2), x, y)
        if long:
            add_to[4, 128, stream](y, x)  # FAULT

    fault(["V05"], step, lambda index: {**inputs(index), "long": index % 2 == 1})


def test_rebound():
    held = {"now": cuda.to_device(numbers(0)), "next": cuda.to_device(numbers(1))}

    def step(x, y, stream):
        add_to[4, 128, stream](held["now"], x)  # FAULT
        axpy[4, 128, stream](numpy.float32(1), held["now"], y)
        held["now"], held["next"] = held["next"], held["now"]

    fault(["V01", "A09", "A13"], step, inputs)


def test_freed():
    held = {"w": cuda.to_device(numbers(0))}

    def step(x, y, stream):
        axpy[4, 128, stream](numpy.float32(2), held["w"], y)  # FAULT

    def before(index):
        if index > 2:
            held["w"] = cuda.to_device(numbers(0))
            cuda.current_context().memory_manager.deallocations.clear()

    fault(["A07"], step, inputs, before=before)


def test_other_thread():
    def step(x, y, stream):
        thread = threading.Thread(target=cuda.synchronize)
        thread.start()  # FAULT
        thread.join()  # FAULT
        axpy[4, 128, stream](numpy.float32(2), x, y)

    fault(["S07"], step, inputs)


def test_growth():
    kept = []

    def step(x, y, stream):
        kept.append(cuda.device_array(4096, numpy.float32))  # FAULT
        axpy[4, 128, stream](numpy.float32(2), x, y)

    fault(["A01"], step, inputs)
