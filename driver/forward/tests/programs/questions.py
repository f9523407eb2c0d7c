"""Asks the driver and launches a kernel, before, in and after a capture: argument 1 says how often each time."""

import ctypes
import sys

cuda = ctypes.CDLL("libcuda.so.1")
times = int(sys.argv[1])
place = ctypes.c_uint64()
PTX = b"""
.version 7.0
.target sm_80
.address_size 64
.visible .entry count(.param .u64 to, .param .u32 by)
{
  .reg .b64 %a;
  .reg .b32 %n, %old;
  ld.param.u64 %a, [to];
  ld.param.u32 %n, [by];
  atom.global.add.u32 %old, [%a], %n;
  ret;
}
"""


def ok(result):
    assert result == 0, result


def ask(wanted=0):
    for _ in range(times):
        assert cuda.cuCtxGetDevice(ctypes.byref(place)) == wanted


def launch(blocks=1, wanted=0):
    """Adds `blocks` to the counter, each time."""
    by = ctypes.c_uint32(1)
    values = (ctypes.c_void_p * 2)(ctypes.addressof(counter), ctypes.addressof(by))
    for _ in range(times):
        assert cuda.cuLaunchKernel(kernel, blocks, 1, 1, 1, 1, 1, 0, stream, values, None) == wanted


ok(cuda.cuInit(0))
ask(201)
context, stream, counter, module, kernel, graph = (ctypes.c_uint64() for _ in range(6))
ok(cuda.cuDevicePrimaryCtxRetain(ctypes.byref(context), 0))
ok(cuda.cuCtxSetCurrent(context))
ok(cuda.cuModuleLoadData(ctypes.byref(module), PTX))
ok(cuda.cuModuleGetFunction(ctypes.byref(kernel), module, b"count"))
ok(cuda.cuMemAlloc_v2(ctypes.byref(counter), ctypes.c_size_t(4)))
ok(cuda.cuMemsetD32_v2(counter, 0, ctypes.c_size_t(1)))
# The host does not wait for a memset of device memory, nor does a stream that is not blocking.
ok(cuda.cuCtxSynchronize())
ok(cuda.cuStreamCreate(ctypes.byref(stream), 1))
ask()
launch()
launch(blocks=0, wanted=1)
ok(cuda.cuStreamBeginCapture_v2(stream, 0))
ask()
launch(blocks=1000)
ok(cuda.cuStreamEndCapture(stream, ctypes.byref(graph)))
ask()
launch(blocks=3)
ok(cuda.cuStreamSynchronize(stream))
word = ctypes.c_uint32()
ok(cuda.cuMemcpyDtoH_v2(ctypes.byref(word), counter, ctypes.c_size_t(4)))
print(word.value)
