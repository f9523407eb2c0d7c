"""Steps of cuda-core's, clean and with planted faults."""

import threading

import numpy
import pytest
from planted import clean, fault

core = pytest.importorskip("cuda.core")
driver = pytest.importorskip("cuda.bindings.driver")

N = 400
SOURCE = """
extern "C" __global__ void axpy(float a, const float *x, float *y, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] = a * x[i] + 1.0f;
}
extern "C" __global__ void add_to(float *total, const float *x, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) total[i] += x[i];
}
"""
SOURCE += """
extern "C" __global__ void add(const float *x, unsigned long long nobody, const float *z, float *y, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] = x[i] + z[i];
}
"""
GRID = core.LaunchConfig(grid=4, block=128)


@pytest.fixture(scope="module")
def kernels():
    device = core.Device()
    device.set_current()
    code = core.Program(SOURCE, code_type="c++", options=core.ProgramOptions(arch=f"sm_{device.arch}")).compile("cubin")
    return code.get_kernel("axpy"), code.get_kernel("add_to"), code.get_kernel("add")


def inputs(index):
    x = numpy.random.default_rng(index).standard_normal(N).astype(numpy.float32)
    return {"x": x, "y": numpy.zeros(N, numpy.float32)}


def axpy(stream, kernels, a, x, y):
    core.launch(stream, GRID, kernels[0], numpy.float32(a), int(x), int(y), numpy.int32(N))


def test_clean(kernels):
    def step(x, y, stream):
        core.launch(stream, GRID, kernels[0], numpy.float32(2), x.ptr, y.ptr, numpy.int32(N))

    clean(step, inputs)


def test_clean_with_state(kernels):
    def step(x, total, y, stream):
        core.launch(stream, GRID, kernels[1], total.ptr, x.ptr, numpy.int32(N))
        axpy(stream, kernels, 2, total, y)

    clean(step, lambda index: {**inputs(index), "total": numpy.zeros(N, numpy.float32)})


def test_float_baked(kernels):
    def step(x, y, a, stream):
        core.launch(stream, GRID, kernels[0], numpy.float32(a), x.ptr, y.ptr, numpy.int32(N))  # FAULT

    fault(["V01"], step, lambda index: {**inputs(index), "a": 1.0 + index})


def remembering():
    """The address that was last new, for ever: that of the graph's own buffer once there is one."""
    seen = []

    def of(x):
        if x.ptr not in seen:
            seen.append(x.ptr)
        return seen[-1]

    return of


def test_clean_with_an_address_that_nobody_reads(kernels):
    of = remembering()

    def step(x, y, stream):
        core.launch(stream, GRID, kernels[2], x.ptr, of(x), x.ptr, y.ptr, numpy.int32(N))

    report = clean(step, inputs)
    assert "changes no result: " in str(report.receipt), report


def test_an_address_that_is_remembered_and_read(kernels):
    of = remembering()

    def step(x, y, stream):
        core.launch(stream, GRID, kernels[2], x.ptr, 0, of(x), y.ptr, numpy.int32(N))  # FAULT

    fault(["A09", "R01"], step, inputs)


def test_synchronize(kernels):
    def step(x, y, stream):
        axpy(stream, kernels, 2, x, y)
        core.Stream.from_handle(int(stream)).sync()  # FAULT

    fault(["S01"], step, inputs)


def test_device_synchronize(kernels):
    def step(x, y, stream):
        axpy(stream, kernels, 2, x, y)
        assert driver.cuCtxSynchronize()[0] == 0  # FAULT

    fault(["S03"], step, inputs)


def test_swallowed(kernels):
    def step(x, y, stream):
        axpy(stream, kernels, 2, x, y)
        driver.cuCtxSynchronize()  # FAULT

    fault(["C12"], step, inputs)


def test_freed(kernels):
    device = core.Device()
    device.set_current()
    held = {"w": device.memory_resource.allocate(4 * N, stream=device.default_stream)}
    device.default_stream.sync()

    def step(x, y, stream):
        core.launch(stream, GRID, kernels[0], numpy.float32(2), int(held["w"].handle), y.ptr, numpy.int32(N))  # FAULT

    def before(index):
        if index == 3:
            held.pop("w").close(device.default_stream)
            device.default_stream.sync()
            held["w"] = device.memory_resource.allocate(4 * N, stream=device.default_stream)

    fault(["A07"], step, inputs, before=before)


def test_growth(kernels):
    kept = []

    def step(x, y, stream):
        kept.append(core.Device().memory_resource.allocate(4 * N, stream=core.Stream.from_handle(int(stream))))  # FAULT
        core.launch(stream, GRID, kernels[0], numpy.float32(2), x.ptr, y.ptr, numpy.int32(N))

    fault(["A03"], step, inputs)


def synchronize():
    driver.cuCtxSetCurrent(driver.cuDevicePrimaryCtxRetain(0)[1])
    driver.cuCtxSynchronize()  # FAULT


def test_other_thread(kernels):
    def step(x, y, stream):
        thread = threading.Thread(target=synchronize)
        thread.start()
        thread.join()
        axpy(stream, kernels, 2, x, y)

    fault(["S07"], step, inputs, planted=synchronize)
