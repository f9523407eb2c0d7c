"""A numba-cuda kernel, captured into a CUDA graph and replayed with new inputs."""

import numpy
from cuda.bindings import driver
from numba import cuda


@cuda.jit
def axpy(a, x, y):
    i = cuda.grid(1)
    if i < x.size:
        y[i] += a * x[i]


def ok(result):
    code, *values = result
    assert code == 0, code
    return values[0] if values else None


x, y = cuda.device_array(1000, numpy.float32), cuda.device_array(1000, numpy.float32)
stream = cuda.stream()
# The first launch compiles the kernel, which a capture must not meet.
axpy[8, 128, stream](numpy.float32(3), x, y)
stream.synchronize()

handle = driver.CUstream(int(getattr(stream.handle, "value", stream.handle)))
ok(driver.cuStreamBeginCapture(handle, driver.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_GLOBAL))
axpy[8, 128, stream](numpy.float32(3), x, y)
graph = ok(driver.cuGraphInstantiate(ok(driver.cuStreamEndCapture(handle)), 0))

for step in range(3):
    inputs = numpy.arange(1000, dtype=numpy.float32) + step
    x.copy_to_device(inputs)
    y.copy_to_device(numpy.ones(1000, dtype=numpy.float32))
    ok(driver.cuGraphLaunch(graph, handle))
    stream.synchronize()
    assert (y.copy_to_host() == 1 + 3 * inputs).all()
print("numba-cuda: captured once, replayed 3 times, every value right")
