"""Captures, breaks a capture, allocates and launches a graph, by the driver API alone."""

import ctypes
import sys

cuda = ctypes.CDLL("libcuda.so.1")
PTX = b""".version 8.0
.target sm_80
.address_size 64
.visible .entry fill(.param .u64 out, .param .u32 value)
{
    .reg .b64 %rd<3>;
    .reg .b32 %r<2>;
    ld.param.u64 %rd1, [out];
    ld.param.u32 %r1, [value];
    cvta.to.global.u64 %rd2, %rd1;
    st.global.u32 [%rd2], %r1;
    ret;
}
"""


def check(result):
    assert result == 0, result


def handle():
    return ctypes.c_void_p()


def launch(function, stream, out):
    address, value = ctypes.c_uint64(out.value), ctypes.c_uint32(7)
    parameters = (ctypes.c_void_p * 2)(
        ctypes.addressof(address), ctypes.addressof(value)
    )
    return cuda.cuLaunchKernel(
        function, 1, 1, 1, 1, 1, 1, 0, stream, parameters, None
    )


def allocate(bytes):
    out = ctypes.c_uint64()
    check(cuda.cuMemAlloc_v2(ctypes.byref(out), ctypes.c_size_t(bytes)))  # allocated here
    return out


def main():
    check(cuda.cuInit(0))
    context = handle()
    check(cuda.cuDevicePrimaryCtxRetain(ctypes.byref(context), 0))
    check(cuda.cuCtxSetCurrent(context))
    module, function, stream = handle(), handle(), handle()
    check(cuda.cuModuleLoadData(ctypes.byref(module), PTX))
    check(cuda.cuModuleGetFunction(ctypes.byref(function), module, b"fill"))
    check(cuda.cuStreamCreate(ctypes.byref(stream), 1))
    # Through C and back into Python: between the two lie frames that are no function's.
    [out] = map(allocate, [4096])

    graph, executable = handle(), handle()
    check(cuda.cuStreamBeginCapture_v2(stream, 0))
    check(launch(function, stream, out))
    check(cuda.cuStreamEndCapture(stream, ctypes.byref(graph)))
    check(cuda.cuGraphInstantiateWithFlags(ctypes.byref(executable), graph, ctypes.c_uint64(0)))
    for _ in range(3):
        check(cuda.cuGraphLaunch(executable, stream))
    check(cuda.cuStreamSynchronize(stream))
    word = ctypes.c_uint32()
    check(cuda.cuMemcpyDtoH_v2(ctypes.byref(word), out, ctypes.c_size_t(4)))
    print("word", word.value)

    broken = handle()
    check(cuda.cuStreamBeginCapture_v2(stream, 0))
    print("synchronise", cuda.cuStreamSynchronize(stream))  # broken here
    print("end", cuda.cuStreamEndCapture(stream, ctypes.byref(broken)))


if __name__ == "__main__":
    main()
    sys.exit(int(sys.argv[1]) if len(sys.argv) > 1 else 0)
