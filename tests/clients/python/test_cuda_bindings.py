"""cuda-bindings: the driver's functions as Python calls them, among them graphs node by node."""

import ctypes

import numpy
import pytest
from cuda.bindings import driver, nvrtc

TEXT = b"""
.version 7.0
.target sm_70
.address_size 64
.visible .entry put(.param .u64 p, .param .u32 v) {
    .reg .u64 %a; .reg .u32 %v;
    ld.param.u64 %a, [p]; ld.param.u32 %v, [v];
    st.global.u32 [%a], %v; ret;
}
"""


def ok(result):
    code, *values = result
    assert code == 0, code
    return values[0] if len(values) == 1 else values


@pytest.fixture(autouse=True)
def context():
    ok(driver.cuInit(0))
    device = ok(driver.cuDeviceGet(0))
    ok(driver.cuCtxSetCurrent(ok(driver.cuDevicePrimaryCtxRetain(device))))
    yield
    ok(driver.cuDevicePrimaryCtxRelease(device))


@pytest.fixture
def put():
    return ok(driver.cuModuleGetFunction(ok(driver.cuModuleLoadData(TEXT)), b"put"))


def read(address):
    value = ctypes.c_uint32()
    ok(driver.cuMemcpyDtoH(ctypes.addressof(value), address, 4))
    return value.value


def arguments(address, value):
    return ((int(address), value), (ctypes.c_void_p, ctypes.c_uint32))


def test_a_launch(put):
    address = ok(driver.cuMemAlloc(4))
    ok(driver.cuLaunchKernel(put, 1, 1, 1, 1, 1, 1, 0, 0, arguments(address, 17), 0))
    assert read(address) == 17
    ok(driver.cuMemFree(address))


def test_streams_events_and_times(put):
    stream = ok(driver.cuStreamCreate(driver.CUstream_flags.CU_STREAM_NON_BLOCKING))
    start, stop = (ok(driver.cuEventCreate(0)) for _ in range(2))
    address = ok(driver.cuMemAllocAsync(4, stream))
    ok(driver.cuEventRecord(start, stream))
    ok(driver.cuLaunchKernel(put, 1, 1, 1, 1, 1, 1, 0, stream, arguments(address, 5), 0))
    ok(driver.cuEventRecord(stop, stream))
    ok(driver.cuEventSynchronize(stop))
    assert ok(driver.cuEventElapsedTime(start, stop)) >= 0
    assert read(address) == 5
    ok(driver.cuMemFreeAsync(address, stream))
    ok(driver.cuStreamDestroy(stream))


def test_a_captured_graph(put):
    stream = ok(driver.cuStreamCreate(driver.CUstream_flags.CU_STREAM_NON_BLOCKING))
    address = ok(driver.cuMemAlloc(8))
    ok(driver.cuStreamBeginCapture(stream, driver.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_GLOBAL))
    ok(driver.cuLaunchKernel(put, 1, 1, 1, 1, 1, 1, 0, stream, arguments(address, 9), 0))
    ok(driver.cuMemcpyDtoDAsync(int(address) + 4, address, 4, stream))
    refused, *_ = driver.cuStreamSynchronize(stream)
    assert refused == driver.CUresult.CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED
    ended, _ = driver.cuStreamEndCapture(stream)
    assert ended == driver.CUresult.CUDA_ERROR_STREAM_CAPTURE_INVALIDATED
    ok(driver.cuStreamBeginCapture(stream, driver.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_GLOBAL))
    ok(driver.cuLaunchKernel(put, 1, 1, 1, 1, 1, 1, 0, stream, arguments(address, 9), 0))
    ok(driver.cuMemcpyDtoDAsync(int(address) + 4, address, 4, stream))
    graph = ok(driver.cuStreamEndCapture(stream))
    nodes, count = ok(driver.cuGraphGetNodes(graph, 2))
    assert count == 2
    kinds = {ok(driver.cuGraphNodeGetType(node)) for node in nodes}
    assert kinds == {driver.CUgraphNodeType.CU_GRAPH_NODE_TYPE_KERNEL, driver.CUgraphNodeType.CU_GRAPH_NODE_TYPE_MEMCPY}
    executable = ok(driver.cuGraphInstantiate(graph, 0))
    for _ in range(3):
        ok(driver.cuMemsetD32(address, 0, 2))
        ok(driver.cuCtxSynchronize())
        ok(driver.cuGraphLaunch(executable, stream))
        ok(driver.cuStreamSynchronize(stream))
        assert read(int(address) + 4) == 9


def test_the_compiler_gives_a_cubin_that_loads(put):
    source = b'extern "C" __global__ void k(int *p) { *p = 3; }'
    made = ok(nvrtc.nvrtcCreateProgram(source, b"k.cu", 0, [], []))
    ok(nvrtc.nvrtcCompileProgram(made, 1, [b"--gpu-architecture=sm_80"]))
    cubin = b" " * ok(nvrtc.nvrtcGetCUBINSize(made))
    ok(nvrtc.nvrtcGetCUBIN(made, cubin))
    kernel = ok(driver.cuModuleGetFunction(ok(driver.cuModuleLoadData(numpy.char.array(cubin))), b"k"))
    address = ok(driver.cuMemAlloc(4))
    ok(driver.cuLaunchKernel(kernel, 1, 1, 1, 1, 1, 1, 0, 0, ((int(address),), (ctypes.c_void_p,)), 0))
    assert read(address) == 3
