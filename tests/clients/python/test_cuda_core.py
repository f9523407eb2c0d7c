"""cuda-core: programs, linking, launches, streams, events, graphs and memory, without a GPU."""

import numpy
import pytest
from cuda.core import Device, LaunchConfig, Linker, LinkerOptions, ObjectCode, Program, ProgramOptions, launch

SOURCE = """
extern "C" __global__ void add(float *p, float by, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) p[i] += by;
}
template <typename T> __global__ void twice(T *p) { p[threadIdx.x] *= T(2); }
"""


@pytest.fixture
def device():
    device = Device()
    device.set_current()
    return device


@pytest.fixture
def stream(device):
    stream = device.create_stream()
    yield stream
    stream.close()


def program(device, source=SOURCE, **options):
    return Program(source, code_type="c++", options=ProgramOptions(arch=f"sm_{device.arch}", **options))


def floats(buffer, count, stream):
    """The buffer's floats, by the driver's own copy."""
    from cuda.bindings import driver

    out = numpy.zeros(count, dtype=numpy.float32)
    stream.sync()
    assert driver.cuMemcpyDtoH(out.ctypes.data, int(buffer.handle), out.nbytes)[0] == 0
    return out


def fill(buffer, value, count):
    from cuda.bindings import driver

    data = numpy.full(count, value, dtype=numpy.float32)
    assert driver.cuMemcpyHtoD(int(buffer.handle), data.ctypes.data, data.nbytes)[0] == 0


@pytest.mark.parametrize("target", ["cubin", "ptx"])
def test_a_program_is_compiled_and_launched(device, stream, target):
    kernel = program(device).compile(target).get_kernel("add")
    buffer = device.allocate(400, stream=stream)
    stream.sync()
    fill(buffer, 1, 100)
    launch(stream, LaunchConfig(grid=1, block=128), kernel, buffer, numpy.float32(2.5), numpy.int32(100))
    assert (floats(buffer, 100, stream) == 3.5).all()
    buffer.close(stream)


def test_a_template_is_found_by_its_name(device, stream):
    code = program(device).compile("cubin", name_expressions=("twice<float>",))
    kernel = code.get_kernel("twice<float>")
    buffer = device.allocate(128, stream=stream)
    stream.sync()
    fill(buffer, 3, 32)
    launch(stream, LaunchConfig(grid=1, block=32), kernel, buffer)
    assert (floats(buffer, 32, stream) == 6).all()
    assert kernel.attributes.max_threads_per_block == 1024


def test_two_programs_are_linked(device, stream):
    caller = 'extern __device__ float f(float); extern "C" __global__ void k(float *p) { *p = f(*p); }'
    called = "__device__ float scale = 4; __device__ float f(float x) { return x * scale; }"
    options = {"relocatable_device_code": True}
    parts = [program(device, text, **options).compile("ptx") for text in (caller, called)]
    linked = Linker(*parts, options=LinkerOptions(arch=f"sm_{device.arch}")).link("cubin")
    buffer = device.allocate(4, stream=stream)
    stream.sync()
    fill(buffer, 2, 1)
    launch(stream, LaunchConfig(grid=1, block=1), linked.get_kernel("k"), buffer)
    assert floats(buffer, 1, stream)[0] == 8


def test_object_code_from_ptx(device, stream):
    text = program(device).compile("ptx").code
    kernel = ObjectCode.from_ptx(text).get_kernel("add")
    buffer = device.allocate(4, stream=stream)
    stream.sync()
    fill(buffer, 0, 1)
    launch(stream, LaunchConfig(grid=1, block=1), kernel, buffer, numpy.float32(7), numpy.int32(1))
    assert floats(buffer, 1, stream)[0] == 7


def test_streams_and_events(device, stream):
    other = device.create_stream()
    event = stream.record()
    other.wait(event)
    event.sync()
    assert event.is_done
    other.sync()
    other.close()


def test_a_graph_is_built_and_replayed(device, stream):
    kernel = program(device).compile("cubin").get_kernel("add")
    buffer = device.allocate(400, stream=stream)
    stream.sync()
    fill(buffer, 0, 100)
    config = LaunchConfig(grid=1, block=128)
    builder = device.create_graph_builder().begin_building()
    launch(builder, config, kernel, buffer, numpy.float32(1), numpy.int32(100))
    left, right = builder.split(2)
    launch(left, config, kernel, buffer, numpy.float32(2), numpy.int32(50))
    builder = type(builder).join(left, right)
    launch(builder, config, kernel, buffer, numpy.float32(4), numpy.int32(100))
    graph = builder.end_building().complete()
    for step in range(1, 4):
        graph.launch(stream)
        result = floats(buffer, 100, stream)
        assert (result[:50] == 7 * step).all() and (result[50:] == 5 * step).all()


def test_device_properties(device):
    properties = device.properties
    assert properties.warp_size == 32
    assert (properties.compute_capability_major, properties.compute_capability_minor) == device.compute_capability
    assert properties.multiprocessor_count > 0
