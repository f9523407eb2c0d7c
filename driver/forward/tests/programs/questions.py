"""Asks the driver, before, in and after a capture: argument 1 says how often each time."""

import ctypes
import sys

cuda = ctypes.CDLL("libcuda.so.1")
times = int(sys.argv[1])
place = ctypes.c_uint64()


def ask(wanted=0, function=cuda.cuCtxGetDevice):
    for _ in range(times):
        assert function(ctypes.byref(place)) == wanted


assert cuda.cuInit(0) == 0
ask(201)
context = ctypes.c_uint64()
assert cuda.cuDevicePrimaryCtxRetain(ctypes.byref(context), 0) == 0
assert cuda.cuCtxSetCurrent(context) == 0
ask()
stream = ctypes.c_uint64()
assert cuda.cuStreamCreate(ctypes.byref(stream), 1) == 0
assert cuda.cuStreamBeginCapture_v2(stream, 0) == 0
ask()
graph = ctypes.c_uint64()
assert cuda.cuStreamEndCapture(stream, ctypes.byref(graph)) == 0
ask()
