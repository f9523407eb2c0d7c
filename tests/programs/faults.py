#!/usr/bin/env python3
"""Small programs of the driver API, one planted fault each, and the same program without it.

    faults.py NAME [clean]

`# told: ID` stands behind the line at which `graphproof trace` must tell the fault.
"""
import ctypes
import sys
import threading
from ctypes import byref, c_size_t, c_uint, c_uint64, c_void_p

PLANTED = "clean" not in sys.argv[2:]
GLOBAL, THREAD_LOCAL = 0, 1
BLOCKING, NON_BLOCKING = 0, 1
BYTES = 4096

PTX = b"""
.version 7.0
.target sm_80
.address_size 64
.visible .entry add_one(.param .u64 data)
{
    .reg .b32 %r<6>;
    .reg .b64 %rd<4>;
    ld.param.u64 %rd1, [data];
    mov.u32 %r1, %ctaid.x;
    mov.u32 %r2, %ntid.x;
    mov.u32 %r3, %tid.x;
    mad.lo.s32 %r4, %r1, %r2, %r3;
    mul.wide.s32 %rd2, %r4, 4;
    add.s64 %rd3, %rd1, %rd2;
    ld.global.u32 %r5, [%rd3];
    add.s32 %r5, %r5, 1;
    st.global.u32 [%rd3], %r5;
    ret;
}
"""

cuda = ctypes.CDLL("libcuda.so.1")


def must(result):
    if result != 0:
        raise SystemExit(f"CUresult {result}")


def handle(function, *arguments):
    value = c_uint64(0)
    must(function(byref(value), *arguments))
    return value


must(cuda.cuInit(0))
device = ctypes.c_int(0)
must(cuda.cuDeviceGet(byref(device), 0))
context = handle(cuda.cuDevicePrimaryCtxRetain, device)
must(cuda.cuCtxSetCurrent(context))
module = handle(cuda.cuModuleLoadData, PTX)
add_one = handle(cuda.cuModuleGetFunction, module, b"add_one")


def stream(flags=BLOCKING):
    return handle(cuda.cuStreamCreate, c_uint(flags))


def memory(size=BYTES):
    return handle(cuda.cuMemAlloc_v2, c_size_t(size))


def launch(data, on):
    parameters = (c_void_p * 1)(ctypes.cast(byref(data), c_void_p))
    return cuda.cuLaunchKernel(add_one, 8, 1, 1, 128, 1, 1, 0, on, parameters, None)


def begin(on, mode=GLOBAL):
    must(cuda.cuStreamBeginCapture_v2(on, c_uint(mode)))


def end(on):
    graph = c_uint64(0)
    cuda.cuStreamEndCapture(on, byref(graph))
    return graph


def instantiate(graph):
    return handle(cuda.cuGraphInstantiateWithFlags, graph, c_uint64(0))


def finish(graph, on):
    """Replays a graph once, if there is one, and lets go of all."""
    if graph.value:
        executable = instantiate(graph)
        must(cuda.cuGraphLaunch(executable, on))
        cuda.cuStreamSynchronize(on)
        must(cuda.cuGraphExecDestroy(executable))
        must(cuda.cuGraphDestroy(graph))
    cuda.cuStreamDestroy_v2(on)


def item():
    s, data, value = stream(), memory(), c_uint(0)
    begin(s)
    launch(data, s)
    if PLANTED:
        cuda.cuStreamSynchronize(s)  # told: S01
    launch(data, s)
    finish(end(s), s)


def pageable():
    s, data, host = stream(), memory(), c_void_p(0)
    batch = ctypes.create_string_buffer(BYTES)
    if not PLANTED:
        must(cuda.cuMemHostAlloc(byref(host), c_size_t(BYTES), 0))
    source = ctypes.cast(batch, c_void_p) if PLANTED else host
    begin(s)
    must(cuda.cuMemcpyHtoDAsync_v2(data, source, c_size_t(BYTES), s))  # told: A11
    launch(data, s)
    finish(end(s), s)


def thread():
    s, other, data = stream(), stream(), memory()

    def load():
        cuda.cuCtxSetCurrent(context)
        cuda.cuStreamSynchronize(other)  # told: S07

    begin(s, GLOBAL if PLANTED else THREAD_LOCAL)
    launch(data, s)
    loader = threading.Thread(target=load)
    loader.start()
    loader.join()
    finish(end(s), s)


def library():
    s, data, workspace = stream(), memory(), c_uint64(0)

    def grow():
        cuda.cuMemAlloc_v2(byref(workspace), c_size_t(BYTES))  # told: A01

    if not PLANTED:
        grow()
    begin(s)
    if PLANTED:
        grow()
    launch(data, s)
    finish(end(s), s)


def freed():
    s, data, other = stream(), memory(), memory()
    begin(s)
    launch(data, s)
    executable = instantiate(end(s))
    must(cuda.cuGraphLaunch(executable, s))
    cuda.cuStreamSynchronize(s)
    must(cuda.cuMemFree_v2(data if PLANTED else other))
    cuda.cuGraphLaunch(executable, s)  # told: A07
    cuda.cuStreamSynchronize(s)


def leak():
    s, data = stream(), memory()
    for _ in range(5):
        begin(s)
        launch(data, s)
        graph = end(s)
        executable = c_uint64(0)
        must(cuda.cuGraphInstantiateWithFlags(byref(executable), graph, c_uint64(0)))  # told: L02
        must(cuda.cuGraphLaunch(executable, s))
        cuda.cuStreamSynchronize(s)
        must(cuda.cuGraphDestroy(graph))
        if not PLANTED:
            must(cuda.cuGraphExecDestroy(executable))


def legacy():
    s, data = stream(BLOCKING), memory()
    begin(s)
    launch(data, s)
    if PLANTED:
        cuda.cuMemsetD8_v2(data, 0, c_size_t(BYTES))  # told: C01
    else:
        cuda.cuMemsetD8Async(data, 0, c_size_t(BYTES), s)
    finish(end(s), s)


def unjoined():
    s, side, data, other = stream(), stream(), memory(), memory()
    fork, join = handle(cuda.cuEventCreate, c_uint(2)), handle(cuda.cuEventCreate, c_uint(2))
    begin(s)
    launch(data, s)
    must(cuda.cuEventRecord(fork, s))
    must(cuda.cuStreamWaitEvent(side, fork, 0))
    must(cuda.cuMemsetD8Async(other, 0, c_size_t(BYTES), side))  # told: C04
    if not PLANTED:
        must(cuda.cuEventRecord(join, side))
        must(cuda.cuStreamWaitEvent(s, join, 0))
    finish(end(s), s)


def update():
    s, data = stream(), memory()

    def capture(times):
        begin(s)
        for _ in range(times):
            launch(data, s)
        return end(s)

    executable, info = instantiate(capture(1)), (c_uint64 * 3)()
    must(cuda.cuGraphLaunch(executable, s))
    other = capture(2 if PLANTED else 1)
    cuda.cuGraphExecUpdate_v2(executable, other, info)  # told: V06
    must(cuda.cuGraphLaunch(executable, s))
    cuda.cuStreamSynchronize(s)
    must(cuda.cuGraphExecDestroy(executable))


def between():
    s, data = stream(), memory()
    begin(s)
    launch(data, s)
    executable = instantiate(end(s))
    for _ in range(6):
        must(cuda.cuGraphLaunch(executable, s))
        if PLANTED:
            cuda.cuStreamSynchronize(s)  # told: S14
    cuda.cuStreamSynchronize(s)
    must(cuda.cuGraphExecDestroy(executable))


def escaped():
    s, data, other = stream(NON_BLOCKING), memory(), memory()
    begin(s)
    launch(data, s)
    must(cuda.cuMemsetD8Async(other, 0, c_size_t(BYTES), None if PLANTED else s))  # told: C02
    finish(end(s), s)


def mapped():
    s, data, other, out = stream(), memory(), memory(), memory()
    # The kernel of sm_80 looks at no map: what is judged is what the graph holds.
    text = PTX.replace(b"(.param", b"(.param .align 64 .b8 map[128], .param")
    kernel = handle(cuda.cuModuleGetFunction, handle(cuda.cuModuleLoadData, text), b"add_one")
    room = ctypes.create_string_buffer(192)
    map = c_void_p(-(-ctypes.addressof(room) // 64) * 64)
    extents, strides = (c_uint64 * 2)(32, 32), (c_uint64 * 1)(128)
    box, steps = (c_uint * 2)(32, 8), (c_uint * 2)(1, 1)
    # Rows of 32 fp32, in boxes of 8 rows.
    must(cuda.cuTensorMapEncodeTiled(map, 7, 2, data, extents, strides, box, steps, 0, 0, 0, 0))
    parameters = (c_void_p * 2)(map, ctypes.cast(byref(out), c_void_p))
    begin(s)
    must(cuda.cuLaunchKernel(kernel, 8, 1, 1, 128, 1, 1, 0, s, parameters, None))
    executable = instantiate(end(s))
    must(cuda.cuGraphLaunch(executable, s))
    cuda.cuStreamSynchronize(s)
    must(cuda.cuMemFree_v2(data if PLANTED else other))
    cuda.cuGraphLaunch(executable, s)  # told: A07
    cuda.cuStreamSynchronize(s)


PROGRAMS = [item, pageable, thread, library, freed, leak, legacy, unjoined, update, between, escaped, mapped]

if __name__ == "__main__":
    {program.__name__: program for program in PROGRAMS}[sys.argv[1]]()
